"""The search: from the shortest road to an answer to the best that the minutes allow."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from finegrain.embeddings.source import pretrained_source
from finegrain.errors import UserError
from finegrain.leaderboard.answers import AnswerFolder, Answers
from finegrain.leaderboard.clock import Clock
from finegrain.leaderboard.contest import Metric
from finegrain.leaderboard.ensemble import Ensemble, choose_ensemble
from finegrain.leaderboard.frozen import Embedded, embed, regression, regression_bytes, unreadable
from finegrain.leaderboard.means import Means
from finegrain.leaderboard.pace import Pace
from finegrain.leaderboard.partition import Partition
from finegrain.leaderboard.variant import Backbone
from finegrain.memory import size_in_words
from finegrain.stores.store_folder import GIGABYTE


@dataclass(eq=False)
class Search:
    """A search in progress.

    Attributes:
        backbones: in the order that they are tried in.
        answers: where finished candidates are kept.
        features: where embeddings are kept.
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
    means: Means
    trials: int | None
    on_better: Callable[["Search", Ensemble], None]
    finished: list[Answers] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    pace: Pace = field(init=False)
    _whole: Partition = field(init=False)
    _embedded_before: bool = False

    def __post_init__(self) -> None:
        self._whole, self.pace = self.partition, Pace(self.partition, self.means.rounded)

    def run(self) -> Ensemble:
        """Search until the minutes or the trials are over; the best ensemble.

        Raises:
            UserError: not even the shortest road leads to an answer.
        """
        self.finished = [each for each in self.answers.load() if self._fits(each)]
        self.clock.before = max((each.finished for each in self.finished), default=0.0)
        self._regressions()
        if self.trials != 0:
            # Optuna takes a second to import.
            from finegrain.leaderboard.tuning import Tuning

            Tuning(
                self.partition,
                self.metric,
                self.clock,
                self.pace,
                self.answers,
                self.means,
                self.trials,
                self.finished,
                self._add,
            ).run(list(self.backbones))
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
        """Logistic regression on each backbone's embeddings, and on all of them together.

        A backbone that cannot be had in the time or the memory that there is is left out.
        """
        embedded: dict[str, Embedded] = {}
        for place, backbone in enumerate(self.backbones):
            if place and not self.clock.fits(self.pace.embeddings(backbone)):
                continue
            name, started = backbone.spec.name, time.monotonic()
            try:
                embedded[name] = self.embedded(backbone)
                self.pace.saw_embeddings(backbone, time.monotonic() - started)
                self._regression(name, [name], embedded)
                if len(embedded) > 1:
                    self._regression(" and ".join(embedded), list(embedded), embedded)
            except UserError as error:
                if not self.finished:
                    raise
                print(f"notice  {error}", flush=True)

    def _regression(self, title: str, names: list[str], embedded: dict[str, Embedded]) -> None:
        if self._is_done("regression", backbones=names):
            return
        likely = regression_bytes([embedded[name] for name in names])
        if likely > self.means.memory_gb * GIGABYTE:
            raise UserError(
                f"logistic regression on {title} is likely to take {size_in_words(likely)}; give "
                "more --memory-gb to have it too"
            )
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
        found = embed(whole, source, self.features, self.means.openvino, self.means.workers)
        if not self._embedded_before and whole.test:
            self.lost = unreadable(self.features, backbone.spec.name, whole.test)
            gone = set(self.lost)
            test = {name: path for name, path in whole.test.items() if name not in gone}
            self.partition = replace(whole, test=test)
        self._embedded_before = True
        kept = [name in self.partition.test for name in whole.test]
        return replace(found, test=found.test[:, kept])
