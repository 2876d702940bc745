"""How the two losses of a multi-loss run pull at the backbone: together, apart or past each other.

    python benchmarks/loss_gradients.py --run runs/dogs

For batches of positive and of negative pairs, without augmentation, prints both losses, the norms
of their gradients on the blocks that stage 2 trains, and the cosine between the two. TensorFlow
only. Needs the run's data set where it was.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from finegrain.command import run_command
from finegrain.flags import Count
from finegrain.quiet import load_keras


@dataclass
class Settings:
    """Compare the gradients of identification and verification loss."""

    # finished multi-loss run
    run: Path
    # batches of each kind of pairs
    batches: Count = 6


def main(settings: Settings) -> None:
    load_keras()
    from finegrain.runs.run_folder import RunFolder
    from finegrain.training.pairs import PairGenerator
    from finegrain.training.session import reopen_session
    from finegrain.training.train_stage import freeze_for_stage

    session = reopen_session(RunFolder.open(settings.run), workers=1)
    trained = session.load_finished("2-unfrozen")
    photos = session.feed.training(replace(trained, augmentation=None))
    for name in ("1-frozen", "2-unfrozen"):
        session.load_finished(name)
        freeze_for_stage(session.model, trained)
        print(f"after {name}\npairs     identification  verification  norm  norm  cosine")
        for kind, rate in (("positive", 1.0), ("negative", 0.0)):
            for number in range(settings.batches):
                batch = photos.batch(*divmod(number, photos.steps()))
                inputs, targets = next(PairGenerator([batch], rate, first_batch=number))
                print(f"{kind}  {compare(session.model, trained, inputs, targets)}")


def compare(model, stage, inputs, targets) -> str:
    """Losses, weighted gradient norms and their cosine, as a line."""
    import keras
    import tensorflow as tf

    weights = {"category": stage.category_weight, "same_class": stage.same_class_weight}
    heads = {id(v) for name in weights for v in model.get_layer(name).trainable_variables}
    shared = [v.value for v in model.trainable_variables if id(v) not in heads]
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(inputs, training=True)
        losses = {
            name: weight
            * keras.losses.CategoricalCrossentropy(from_logits=True)(targets[name], outputs[name])
            for name, weight in weights.items()
        }
    one, other = (
        tf.concat([tf.reshape(part, [-1]) for part in tape.gradient(loss, shared)], axis=0)
        for loss in losses.values()
    )
    norms = tf.norm(one), tf.norm(other)
    cosine = tf.reduce_sum(one * other) / (norms[0] * norms[1])
    plain = [float(losses[name]) / weight for name, weight in weights.items()]
    return f"{plain[0]:14.3f}  {plain[1]:12.3f}  {norms[0]:4.1f}  {norms[1]:4.1f}  {cosine:6.3f}"


if __name__ == "__main__":
    run_command(main, Settings)
