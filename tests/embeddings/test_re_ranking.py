"""k-reciprocal re-ranking, against the paper's sets spelled out one image after the other."""

import numpy as np
import pytest

from finegrain.embeddings.nearest import cosine_distances
from finegrain.embeddings.re_identification import Sightings, places_in_gallery
from finegrain.embeddings.re_ranking import re_ranked_distances


def reference(query, gallery, k1, k2, weight):
    """Equations 1 to 12 of arXiv 1701.08398, as sets and dense vectors."""
    images = np.concatenate([query, gallery]).astype("float64")
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    total = len(images)
    distances = ((images[:, None] - images[None]) ** 2).sum(axis=2)
    distances /= distances.max(axis=1, keepdims=True)
    ranking = np.argsort(distances, axis=1, kind="stable")

    def reciprocal(image, k):
        near = ranking[image, : k + 1]
        return {other for other in near if image in ranking[other, : k + 1]}

    encoding = np.zeros((total, total))
    for image in range(total):
        own = reciprocal(image, k1)
        expanded = set(own)
        for candidate in own:
            brought = reciprocal(candidate, round(k1 / 2))
            if len(own & brought) > 2 / 3 * len(brought):
                expanded |= brought
        for other in expanded:
            encoding[image, other] = np.exp(-distances[image, other])
        encoding[image] /= encoding[image].sum()
    encoding = np.stack([encoding[ranking[image, :k2]].mean(axis=0) for image in range(total)])
    out = np.empty((len(query), len(gallery)))
    for row in range(len(query)):
        for column in range(len(gallery)):
            other = len(query) + column
            smaller = np.minimum(encoding[row], encoding[other]).sum()
            larger = np.maximum(encoding[row], encoding[other]).sum()
            out[row, column] = (1 - weight) * (1 - smaller / larger)
            out[row, column] += weight * distances[row, other]
    return out


def clustered(rng, people: int, views: int, width: int = 12, noise: float = 0.8):
    centres = rng.normal(size=(people, width))
    identities = np.repeat(np.arange(1, people + 1), views)
    return centres[identities - 1] + noise * rng.normal(size=(len(identities), width)), identities


@pytest.mark.parametrize(
    ("k1", "k2", "weight"), [(20, 6, 0.3), (5, 1, 0.0), (7, 3, 1.0), (3, 9, 0.5), (200, 300, 0.2)]
)
def test_as_the_paper_spells_it_out(k1, k2, weight):
    rng = np.random.default_rng(k1)
    embeddings, _ = clustered(rng, 8, 6)
    query, gallery = embeddings[::5], np.delete(embeddings, np.s_[::5], axis=0)
    got = np.concatenate(list(re_ranked_distances(query, gallery, k1, k2, weight, block=8)))
    np.testing.assert_allclose(got, reference(query, gallery, k1, k2, weight), atol=2e-5)


def test_it_finds_more_of_the_same_people():
    rng = np.random.default_rng(3)
    embeddings, identities = clustered(rng, 40, 12, width=32, noise=1.5)
    cameras = np.tile(np.arange(12) % 3, 40)
    asked = np.arange(0, len(identities), 6)
    query = Sightings(identities[asked], cameras[asked])
    rest = np.delete(np.arange(len(identities)), asked)
    gallery = Sightings(identities[rest], cameras[rest])
    plain = cosine_distances(embeddings[asked], embeddings[rest])
    better = re_ranked_distances(embeddings[asked], embeddings[rest])
    before, after = (
        places_in_gallery(blocks, query, gallery).measures()["mAP"] for blocks in (plain, better)
    )
    assert after > before + 0.05


def test_images_all_alike_and_hardly_any():
    same = np.ones((9, 4))
    (alike,) = re_ranked_distances(same[:3], same[3:])
    assert np.isfinite(alike).all() and alike.shape == (3, 6)
    (few,) = re_ranked_distances(np.eye(3)[:1], np.eye(3)[1:])
    assert np.isfinite(few).all() and few.shape == (1, 2)
    for wrong in ({"k1": 0}, {"k2": 0}, {"weight": 1.5}):
        with pytest.raises(ValueError, match="Received"):
            list(re_ranked_distances(same, same, **wrong))
