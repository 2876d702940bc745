"""The search: from the shortest road to an answer to the best that the minutes allow."""

import gc
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finegrain.embeddings.source import pretrained_source
from finegrain.errors import UserError
from finegrain.leaderboard.answers import AnswerFolder, Answers
from finegrain.leaderboard.clock import Clock
from finegrain.leaderboard.contest import Metric
from finegrain.leaderboard.ensemble import Ensemble, choose_ensemble
from finegrain.leaderboard.frozen import Embedded, embed, regression, unreadable
from finegrain.leaderboard.partition import Partition
from finegrain.stores.store_folder import StoreFolder

if TYPE_CHECKING:
    import optuna

    from finegrain.leaderboard.tuned import Changes, TunedBackbone
    from finegrain.models.backbone_table import BackboneSpec

# What the search may choose of a candidate, and the modern recipe's own choice.
CHOICES: dict[str, tuple[float, ...]] = {
    "unfrozen_epochs": (8, 12, 16, 20),
    "unfrozen_learning_rate": (1.5e-4, 3e-4, 6e-4),
    "label_smoothing": (0.0, 0.1, 0.2),
    "dropout": (0.0, 0.3, 0.5),
    "weight_decay": (0.0, 0.02, 0.1),
}
RECIPE = {
    "unfrozen_epochs": 12,
    "unfrozen_learning_rate": 3e-4,
    "label_smoothing": 0.1,
    "dropout": 0.3,
    "weight_decay": 0.02,
}
# What a fold takes is told from the last one; another may take so many times that.
CAUTION = 1.15
# Seconds of a backbone that was not trained yet, beside those of its passes.
UNKNOWN_START = 20.0
# The passes of its views take so many times what its embeddings took.
VIEWS_TAKE = 2.5
# What an image of the same size may take longer in a further backbone.
LARGER = 5


class OutOfTime(Exception):
    """The minutes are over before a candidate is finished."""


@dataclass(frozen=True)
class Backbone:
    """A backbone and its weights, as `build_backbone` takes them."""

    spec: "BackboneSpec"
    weights: str


@dataclass(eq=False)
class Search:
    """A search in progress.

    Attributes:
        backbones: the cheapest first.
        answers: where finished candidates are kept.
        features: where embeddings are kept.
        stores: where activations are kept.
        trials: so many candidates are trained at most; None as many as the minutes allow.
        on_better: called with the best ensemble so far, whenever there is another candidate.
        finished: candidates in the order they were finished in.
        lost: ids of test images that cannot be decoded.
    """

    partition: Partition
    metric: Metric
    clock: Clock
    backbones: Sequence[Backbone]
    answers: AnswerFolder
    features: Path
    stores: StoreFolder
    trials: int | None
    batch_size: int
    seed: int
    openvino: bool
    workers: int
    on_better: Callable[["Search", Ensemble], None]
    finished: list[Answers] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    _whole: Partition = field(init=False)
    _embedded_before: bool = False
    _embedding_took: dict[str, float] = field(default_factory=dict)
    _epoch_seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._whole = self.partition

    def run(self) -> Ensemble:
        """Search until the minutes or the trials are over; the best ensemble.

        Raises:
            UserError: not even the shortest road leads to an answer.
        """
        self.finished = [each for each in self.answers.load() if self._fits(each)]
        self.clock.before = max((each.finished for each in self.finished), default=0.0)
        self._regressions()
        if self.trials != 0:
            self._tune()
        return choose_ensemble(self.finished, self.partition.labels, self.metric)

    def _fits(self, answers: Answers) -> bool:
        classes = len(self.partition.classes)
        return answers.out_of_fold.shape == (len(self.partition.known), classes)

    def _add(self, answers: Answers) -> None:
        self.answers.save(answers)
        self.finished.append(answers)
        loss = self.metric.loss(answers.out_of_fold, self.partition.labels)
        print(
            f"  {self.metric.title} out of fold {self.metric.score(loss):.4f}: "
            f"{answers.candidate.name} ({answers.seconds:.0f} s)",
            flush=True,
        )
        self.on_better(self, choose_ensemble(self.finished, self.partition.labels, self.metric))

    def _is_done(self, kind: str, **settings: object) -> bool:
        wanted = {"kind": kind, **settings}
        return any(wanted.items() <= each.candidate.settings.items() for each in self.finished)

    def _regressions(self) -> None:
        """Logistic regression on each backbone's embeddings, and on all of them together."""
        embedded: dict[str, Embedded] = {}
        for place, backbone in enumerate(self.backbones):
            if place and not self.clock.fits(self._embedding_seconds(backbone)):
                continue
            name, started = backbone.spec.name, time.monotonic()
            embedded[name] = self.embedded(backbone)
            self._embedding_took[name] = time.monotonic() - started
            self._regression(name, [name], embedded)
            if len(embedded) > 1:
                self._regression(" and ".join(embedded), list(embedded), embedded)

    def _regression(self, title: str, names: list[str], embedded: dict[str, Embedded]) -> None:
        if self._is_done("regression", backbones=names):
            return
        before = time.monotonic()
        found = regression(
            f"logistic regression on {title}",
            names,
            [embedded[name] for name in names],
            self.partition,
            self.clock,
        )
        self._add(replace(found, seconds=time.monotonic() - before))

    def embedded(self, backbone: Backbone) -> Embedded:
        """The embeddings of a backbone; test images that it cannot read are left out from here."""
        source, whole = pretrained_source(backbone.spec, backbone.weights), self._whole
        found = embed(whole, source, self.features, self.openvino, self.workers)
        if not self._embedded_before and whole.test:
            self.lost = unreadable(self.features, backbone.spec.name, whole.test)
            gone = set(self.lost)
            test = {name: path for name, path in whole.test.items() if name not in gone}
            self.partition = replace(whole, test=test)
        self._embedded_before = True
        kept = [name in self.partition.test for name in whole.test]
        return replace(found, test=found.test[:, kept])

    def _embedding_seconds(self, backbone: Backbone) -> float:
        """Roughly: a further backbone is larger than the first, and not only its images are."""
        first = self.backbones[0]
        larger = (backbone.spec.image_size / first.spec.image_size) ** 2
        return LARGER * larger * self._embedding_took[first.spec.name]

    def _tune(self) -> None:
        """Train candidates, those that promise most first; halves of them end after few folds.

        The recipe as it is comes first, on each backbone; then changes of it on the best of these.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        studies = {
            backbone.spec.name: self._study(backbone.spec.name) for backbone in self.backbones
        }
        opened: dict[str, TunedBackbone] = {}
        done = 0
        try:
            while studies and (self.trials is None or done < self.trials):
                name = _most_promising(studies)
                trial = studies[name].ask()
                changes = _suggested(trial)
                if self._tell_known(studies[name], trial, name, changes):
                    done += 1
                elif self._may_begin(name, changes):
                    try:
                        self._trial(studies[name], trial, name, changes, opened)
                    except OutOfTime:
                        return
                    except UserError as error:
                        print(f"notice  {error}", flush=True)
                        del studies[name]
                    done += 1
                else:
                    del studies[name]
        finally:
            for each in opened.values():
                each.close()

    def _study(self, name: str) -> "optuna.Study":
        import optuna

        seed = int(
            np.random.SeedSequence([self.seed, zlib.crc32(name.encode())]).generate_state(1)[0]
        )
        study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=4),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )
        study.enqueue_trial(RECIPE)
        return study

    def _tell_known(
        self, study: "optuna.Study", trial: "optuna.Trial", name: str, changes: "Changes"
    ) -> bool:
        """Tell a study of a candidate that was finished or left before; whether it was."""
        import optuna

        wanted = {"kind": "tuned", "backbone": name, **asdict(changes)}
        labels, folds = self.partition.labels, self.partition.folds
        for each in self.finished:
            if wanted.items() <= each.candidate.settings.items():
                losses = [
                    self.metric.loss(each.out_of_fold[folds < count], labels[folds < count])
                    for count in range(1, self.partition.fold_count + 1)
                ]
                for count, loss in enumerate(losses, 1):
                    trial.report(loss, count)
                study.tell(trial, losses[-1])
                return True
        for candidate, losses in self.answers.left():
            if wanted.items() <= candidate.settings.items():
                for count, loss in enumerate(losses, 1):
                    trial.report(loss, count)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return True
        return False

    def _may_begin(self, name: str, changes: "Changes") -> bool:
        """Whether a candidate is likely to be finished in time."""
        if name in self._epoch_seconds:
            epochs = changes.unfrozen_epochs * self.partition.fold_count
            return self.clock.fits(CAUTION * self._epoch_seconds[name] * epochs)
        # Its store holds twice as many views, computed in full precision.
        took = self._embedding_took.get(name)
        return took is not None and self.clock.fits(UNKNOWN_START + VIEWS_TAKE * took)

    def _trial(
        self,
        study: "optuna.Study",
        trial: "optuna.Trial",
        name: str,
        changes: "Changes",
        opened: dict[str, "TunedBackbone"],
    ) -> None:
        import optuna

        from finegrain.leaderboard.tuned import TunedBackbone, answers_by_fold, candidate_of

        backbone = next(each for each in self.backbones if each.spec.name == name)
        if name not in opened:
            opened[name] = TunedBackbone(
                self.partition,
                backbone.spec,
                backbone.weights,
                self.stores,
                self.batch_size,
                self.seed,
                self.openvino,
                self.workers,
            )
        candidate, started = candidate_of(backbone.spec, changes), time.monotonic()
        print(f"  trying {candidate.name}", flush=True)
        labels, folds = self.partition.labels, self.partition.folds
        losses: list[float] = []
        epochs_left = changes.unfrozen_epochs * self.partition.fold_count
        last = time.monotonic()

        def on_epoch() -> None:
            nonlocal epochs_left, last
            now = time.monotonic()
            taken, last = now - last, now
            epochs_left -= 1
            # Of the first epoch much is building graphs.
            self._epoch_seconds[name] = min(self._epoch_seconds.get(name, taken), taken)
            if not self.clock.fits(epochs_left * self._epoch_seconds[name]):
                raise OutOfTime(candidate.name)

        for found in answers_by_fold(opened[name], changes, on_epoch):
            seen = folds < found.folds
            loss = self.metric.loss(found.out_of_fold[seen], labels[seen])
            losses.append(loss)
            trial.report(loss, found.folds)
            last = time.monotonic()
            if found.folds < self.partition.fold_count and trial.should_prune():
                print(
                    f"  left after {found.folds} of {self.partition.fold_count} folds at "
                    f"{self.metric.score(loss):.4f}: {candidate.name}",
                    flush=True,
                )
                self.answers.save_left(candidate, losses)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                gc.collect()
                return
        study.tell(trial, loss)
        count = found.folds
        # The single model learns all images where a fold leaves some out.
        alone = UNKNOWN_START + (time.monotonic() - started) / (count - 1)
        self.clock.reserved = max(self.clock.reserved, alone)
        self._add(
            Answers(
                candidate,
                found.out_of_fold.astype(np.float32),
                (found.held_out / count).astype(np.float32),
                (found.test / count).astype(np.float32),
                time.monotonic() - started,
                self.clock.passed(),
            )
        )
        gc.collect()


def _most_promising(studies: Mapping[str, "optuna.Study"]) -> str:
    """The first backbone that nothing was tried on yet, then that with the best candidate."""
    for name, study in studies.items():
        if not study.trials or all(trial.state.name == "WAITING" for trial in study.trials):
            return name

    def best(name: str) -> float:
        losses = [each.value for each in studies[name].trials if each.value is not None]
        return min(losses, default=float("inf"))

    return min(studies, key=best)


def _suggested(trial: "optuna.Trial") -> "Changes":
    from finegrain.leaderboard.tuned import Changes

    chosen: dict[str, Any] = {
        name: trial.suggest_categorical(name, choices) for name, choices in CHOICES.items()
    }
    return Changes(**chosen)
