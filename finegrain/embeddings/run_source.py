"""A fine-tuned run as a source of embeddings."""

from pathlib import Path

from finegrain.embeddings.embedding_source import EmbeddingSource, model_source
from finegrain.runs.finished_run import open_finished_run


def run_source(folder: Path) -> EmbeddingSource:
    """The embeddings of a run's finished model, named by its folder.

    Raises:
        UserError: the run is not finished or damaged.
    """
    run = open_finished_run(folder)
    made_from = {"run": folder.as_posix(), "recipe": run.recipe, "classes": len(run.classes)}
    return model_source(folder.resolve().name, run.model(), made_from)
