"""The search among candidates that train a backbone: which variant, and what of the recipe."""

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import optuna

from finegrain.errors import UserError
from finegrain.leaderboard.answers import AnswerFolder, Answers, Candidate
from finegrain.leaderboard.changes import Changes, candidate_of
from finegrain.leaderboard.clock import Clock, OutOfTime
from finegrain.leaderboard.contest import Metric
from finegrain.leaderboard.fold_training import answers_by_fold
from finegrain.leaderboard.means import Means
from finegrain.leaderboard.pace import Pace
from finegrain.leaderboard.partition import Partition
from finegrain.leaderboard.tuned import TunedBackbone
from finegrain.leaderboard.variant import Backbone, Variant, unusual, usual

# What a candidate may change of the modern recipe.
CHOICES: dict[str, tuple[Any, ...]] = {
    "unfrozen_epochs": (5, 8, 12, 16, 20),
    "unfrozen_learning_rate": (1.5e-4, 3e-4, 6e-4),
    "label_smoothing": (0.0, 0.1, 0.2),
    "dropout": (0.0, 0.3, 0.5),
    "weight_decay": (0.0, 0.02, 0.1),
    "pair_loss": ("none", "supervised-contrastive"),
    "pooling": ("mean", "gem"),
    "neck": ("none", "bn"),
}
# Of these a candidate changes so many of the best one's: few are tried, and most changes hurt.
CHANGED = 2
EPOCHS, VARIANT = "unfrozen_epochs", "variant"
RECIPE = asdict(Changes())


@dataclass(eq=False)
class Tuning:
    """Candidates one after the other, until the minutes or the trials are over.

    The recipe as it is comes first, on each backbone; then on other variants, those of the backbone
    that did best before others; then changes of the best candidate, two at a time, on its variant,
    by a tree-structured Parzen estimator (Bergstra et al. 2011). What is among the worse half after
    one, two or four folds is left (successive halving, Jamieson and Talwalkar 2016), save a
    backbone's first candidate, since even a weaker one may know what the others do not.

    Attributes:
        trials: so many candidates at most; None as many as the minutes allow.
        finished: all candidates that are there; `add` puts another one there.
    """

    partition: Partition
    metric: Metric
    clock: Clock
    pace: Pace
    answers: AnswerFolder
    means: Means
    trials: int | None
    finished: list[Answers]
    add: Callable[[Answers], None]
    _opened: dict[Variant, TunedBackbone] = field(default_factory=dict)
    # Variant -> loss of its best candidate.
    _tried: dict[Variant, float] = field(default_factory=dict)
    # To be tried with the recipe as it is.
    _waiting: list[Variant] = field(default_factory=list)
    _has_widened: bool = False

    def run(self, backbones: list[Backbone]) -> None:
        """Try what can be tried."""
        study = self._study()
        names = [each.name for b in backbones for each in (usual(b), *unusual(b))]
        self._waiting = [usual(backbone) for backbone in backbones]
        done = 0
        try:
            while self.trials is None or done < self.trials:
                is_first = bool(self._waiting) or self._widen()
                if not is_first and not self._tried:
                    return
                variant = self._waiting.pop(0) if is_first else self._best()
                epochs = self._epochs_that_fit(variant)
                if not epochs:
                    self._tried.pop(variant, None)
                    continue
                fixed = RECIPE if is_first else self._kept_of_the_best(variant, done)
                if fixed.get(EPOCHS, max(CHOICES[EPOCHS])) > max(epochs):
                    fixed = fixed | {EPOCHS: max(epochs)}
                # What it does not name the sampler chooses.
                study.enqueue_trial({VARIANT: variant.name, **fixed})
                trial = study.ask()
                trial.suggest_categorical(VARIANT, names)
                try:
                    self._tell(
                        study, trial, variant, is_first and variant == usual(variant.backbone)
                    )
                    done += 1
                except OutOfTime:
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    if is_first:
                        # Now its pace is known, and fewer epochs may do.
                        self._waiting.insert(0, variant)
                except UserError as error:
                    print(f"notice  {error}", flush=True)
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                    self._tried.pop(variant, None)
        finally:
            for opened in self._opened.values():
                opened.close()

    def _study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=self.means.seed, n_startup_trials=6),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )

    def _best(self) -> Variant:
        return min(self._tried, key=self._tried.__getitem__)

    def _widen(self) -> bool:
        """Let the unusual variants wait, once; whether any does."""
        if not self._has_widened:
            best_first = sorted(self._tried, key=self._tried.__getitem__)
            self._waiting = [each for tried in best_first for each in unusual(tried.backbone)]
            self._has_widened = True
        return bool(self._waiting)

    def _tell(
        self, study: optuna.Study, trial: optuna.Trial, variant: Variant, to_the_end: bool
    ) -> None:
        """Tell the study of the candidate that it asks about, trained where it was not before."""
        changes = _suggested(trial)
        if not self._tell_known(study, trial, variant, changes):
            self._try(study, trial, variant, changes, to_the_end)

    def _kept_of_the_best(self, variant: Variant, number: int) -> dict[str, Any]:
        """What the candidate of a number takes over from the best one of a variant."""
        recorded = variant.recorded.items()
        of_variant = [each for each in self.finished if recorded <= each.candidate.settings.items()]
        labels = self.partition.labels
        best = min(of_variant, key=lambda each: self.metric.loss(each.out_of_fold, labels))
        rng = np.random.default_rng([self.means.seed, number])
        changed = rng.choice(list(CHOICES), CHANGED, replace=False)
        return {name: best.candidate.settings[name] for name in CHOICES if name not in changed}

    def _epochs_that_fit(self, variant: Variant) -> list[int]:
        """The numbers of epochs that a candidate of a variant can have in the time left."""
        ready = 0.0 if variant in self._opened else self.pace.store(variant)

        def seconds(epochs: int) -> float:
            # The single model that follows is reckoned in once there is a candidate.
            single = 0.0 if self.clock.reserved else self.pace.single(variant, epochs)
            return ready + self.pace.candidate(variant, epochs) + single

        return [epochs for epochs in CHOICES[EPOCHS] if self.clock.fits(seconds(epochs))]

    def _tell_known(
        self, study: optuna.Study, trial: optuna.Trial, variant: Variant, changes: Changes
    ) -> bool:
        """Tell the study of a candidate that was finished or left before; whether it was."""
        wanted = candidate_of(variant, changes).settings
        labels, folds = self.partition.labels, self.partition.folds
        for each in self.finished:
            if wanted == each.candidate.settings:
                losses = [
                    self.metric.loss(each.out_of_fold[folds < count], labels[folds < count])
                    for count in range(1, self.partition.fold_count + 1)
                ]
                _report(trial, losses)
                study.tell(trial, losses[-1])
                self._reached(variant, losses[-1])
                return True
        for candidate, losses in self.answers.left():
            if wanted == candidate.settings:
                _report(trial, losses)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return True
        return False

    def _reached(self, variant: Variant, loss: float) -> None:
        self._tried[variant] = min(loss, self._tried.get(variant, loss))

    def _try(
        self,
        study: optuna.Study,
        trial: optuna.Trial,
        variant: Variant,
        changes: Changes,
        to_the_end: bool,
    ) -> None:
        """Train a candidate.

        Raises:
            OutOfTime: it would not be finished in time.
            UserError: it cannot be trained.
        """
        candidate = candidate_of(variant, changes)
        print(f"  trying {candidate.name}", flush=True)
        if variant not in self._opened:
            self._opened[variant] = TunedBackbone(self.partition, variant, self.means)
        started_training = time.monotonic()
        epochs_left = changes.unfrozen_epochs * self.partition.fold_count
        last = started_training

        def on_epoch() -> None:
            nonlocal epochs_left, last
            now = time.monotonic()
            self.pace.saw_epoch(variant, now - last)
            last = now
            epochs_left -= 1
            # Of the first epoch much is building graphs.
            is_second = epochs_left < changes.unfrozen_epochs * self.partition.fold_count - 1
            if is_second and not self.clock.fits(epochs_left * self.pace.epochs[variant.name]):
                raise OutOfTime

        labels, folds = self.partition.labels, self.partition.folds
        losses: list[float] = []
        for found in answers_by_fold(self._opened[variant], changes, on_epoch):
            seen = folds < found.folds
            losses.append(self.metric.loss(found.out_of_fold[seen], labels[seen]))
            trial.report(losses[-1], found.folds)
            last = time.monotonic()
            is_last = found.folds == self.partition.fold_count
            if not is_last and not to_the_end and trial.should_prune():
                self._leave(study, trial, candidate, losses)
                return
        study.tell(trial, losses[-1])
        self._reached(variant, losses[-1])
        count, seconds = found.folds, time.monotonic() - started_training
        alone = self.pace.single(variant, changes.unfrozen_epochs)
        self.clock.reserved = max(self.clock.reserved, alone)
        self.add(
            Answers(
                candidate,
                found.out_of_fold.astype(np.float32),
                (found.held_out / count).astype(np.float32),
                (found.test / count).astype(np.float32),
                seconds,
                self.clock.passed(),
            )
        )
        gc.collect()

    def _leave(
        self, study: optuna.Study, trial: optuna.Trial, candidate: Candidate, losses: list[float]
    ) -> None:
        print(
            f"  left after {len(losses)} of {self.partition.fold_count} folds at "
            f"{self.metric.score(losses[-1]):.4f}: {candidate.name}",
            flush=True,
        )
        self.answers.save_left(candidate, losses)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        gc.collect()


def _report(trial: optuna.Trial, losses: list[float]) -> None:
    for count, loss in enumerate(losses, 1):
        trial.report(loss, count)


def _suggested(trial: optuna.Trial) -> Changes:
    return Changes(
        **{name: trial.suggest_categorical(name, choices) for name, choices in CHOICES.items()}
    )
