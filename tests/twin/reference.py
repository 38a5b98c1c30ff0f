"""The twin's results on the cases, in float64, under the product's parameter names. Needs PyTorch."""

import numpy as np
import torch

from tests.twin import cases, mapping
from tests.twin.cases import Arrays, Case
from tests.twin.torch_twin import TorchTwin, separation_loss


def make_twin(case: Case, product_weights: Arrays | None = None, merge: str = "sum") -> TorchTwin:
    """A float64 twin with the product's weights, by default the case's own."""
    model = case.model
    twin = TorchTwin(
        num_speakers=model.num_speakers,
        num_filters=model.num_filters,
        kernel_size=model.kernel_size,
        hidden_size=model.hidden_size,
        num_pairs=model.num_pairs,
        chunk_frames=model.chunk_frames,
        normalize_level=model.normalize_level,
        overlap_weight={"sum": 1.0, "mean": 0.5}[merge],
    ).double()
    if product_weights is None:
        shapes = {name: value.shape for name, value in mapping.to_product(_arrays(twin)).items()}
        product_weights = cases.weights(shapes)
    set_weights(twin, product_weights, merge)
    return twin


def set_weights(twin: TorchTwin, product_weights: Arrays, merge: str) -> None:
    """Load weights that carry the product's names; none may be missing or left over."""
    state = mapping.to_twin(product_weights, merge)
    twin.load_state_dict({name: torch.tensor(value, dtype=torch.float64) for name, value in state.items()})


def forward_and_gradient(case: Case, twin: TorchTwin, merge: str = "sum") -> Arrays:
    """`loss`, `tracks` [B, R, C, T] and `gradient.<parameter>` on the case's batch."""
    mixture, sources, num_samples = torch_batch(case)
    twin.zero_grad()
    tracks = twin(mixture)
    loss = separation_loss(tracks, sources, num_samples)
    loss.backward()
    gradients = {name: value.grad.numpy().copy() for name, value in twin.named_parameters()}
    found = {"loss": loss.detach().numpy(), "tracks": tracks.detach().numpy()}
    named = mapping.gradients_to_product(gradients, merge)
    return {**found, **{f"gradient.{name}": value for name, value in named.items()}}


def train(case: Case) -> Arrays:
    """Losses before every update, and weights and gradient before the updates of `CHECKED_STEPS`.

    The twin takes the mean of overlapping chunks here: with other scales, Adam would take other steps.
    """
    twin = make_twin(case, merge="mean")
    optimizer = torch.optim.Adam(twin.parameters(), lr=cases.LEARNING_RATE)
    losses, kept = [], {}
    for step in range(1, cases.TRAINING_STEPS + 1):
        product_weights = mapping.to_product(_arrays(twin), "mean")
        results = forward_and_gradient(case, twin, "mean")
        losses.append(results["loss"])
        if step in cases.CHECKED_STEPS:
            kept.update({f"{step}.weight.{name}": value for name, value in product_weights.items()})
            kept.update({f"{step}.{name}": value for name, value in results.items() if name != "tracks"})
        torch.nn.utils.clip_grad_norm_(twin.parameters(), cases.CLIP_NORM)
        optimizer.step()
    return {"losses": np.array(losses), **kept}


def torch_batch(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The case's batch in float64."""
    mixture, sources, num_samples = cases.batch(case)
    return torch.from_numpy(mixture).double(), torch.from_numpy(sources).double(), torch.from_numpy(num_samples)


def _arrays(twin: TorchTwin) -> Arrays:
    return {name: value.numpy().copy() for name, value in twin.state_dict().items()}
