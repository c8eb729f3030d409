"""A batch divided between two processes: the items of each, and sums over all of them, by hand.

The other process is a list of what it would add to each sum.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from ganlib.networks.augmentation import RandomChanges
from ganlib.networks.layers import Dropout, GaussianNoise
from ganlib.networks.normalisation import BatchNorm1d, BatchNorm2d
from ganlib.runtime import batch_sharding
from ganlib.runtime.batch_sharding import (
    BatchShard,
    average_gradients,
    batch_mean,
    gather_items,
    global_count,
    global_like,
    local_items,
    sharded,
)

LetOtherAdd = Callable[..., None]


@pytest.fixture
def let_other_add(monkeypatch: pytest.MonkeyPatch) -> LetOtherAdd:
    """Return a function that says what the other process adds to the sums that come next."""
    waiting: list[Tensor] = []

    def sum_over_processes(own: Tensor) -> None:
        own += waiting.pop(0)

    monkeypatch.setattr(batch_sharding, "sum_over_processes", sum_over_processes)
    return lambda *tensors: waiting.extend(tensors)


@pytest.fixture
def second_of_two() -> Iterator[None]:
    """Be the second of two processes with two items each."""
    with sharded(BatchShard(rank=1, count=2, size=2)):
        yield


@pytest.mark.usefixtures("second_of_two")
def test_each_process_has_its_items_of_every_batch_that_goes_through_as_one() -> None:
    assert local_items(torch.tensor([0, 1, 2, 3])).tolist() == [2, 3]
    assert local_items(torch.tensor([0, 1, 2, 3, 10, 11, 12, 13])).tolist() == [2, 3, 12, 13]
    assert local_items(torch.tensor([[0, 1, 2, 3]]), dim=1).tolist() == [[2, 3]]
    assert (global_count(2), global_count(4)) == (4, 8)


def test_alone_everything_is_left_as_it_is() -> None:
    numbers = torch.tensor([1.0, 3.0])
    assert local_items(numbers) is numbers
    assert gather_items(numbers) is numbers
    assert global_like(numbers) is numbers
    assert global_count(2) == 2
    assert batch_mean(numbers).item() == 2


@pytest.mark.usefixtures("second_of_two")
def test_all_items_come_in_the_order_of_the_whole_batches(let_other_add: LetOtherAdd) -> None:
    own = torch.tensor([2.0, 3.0, 12.0, 13.0], requires_grad=True)
    # What each adds is laid out by process; the second one's rows are 0 in the first one's.
    let_other_add(torch.tensor([[0.0, 1.0, 10.0, 11.0], [0.0, 0.0, 0.0, 0.0]]))
    together = gather_items(own)
    assert together.tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    # The other process's loss has the gradient 100 at each of this one's items, this one's own has 1.
    let_other_add(torch.full((2, 4), 100.0))
    together.sum().backward()
    assert own.grad is not None
    assert own.grad.tolist() == [101.0] * 4


@pytest.mark.usefixtures("second_of_two")
def test_a_mean_is_of_all_items(let_other_add: LetOtherAdd) -> None:
    own = torch.tensor([1.0, 3.0], requires_grad=True)
    let_other_add(torch.tensor(6.0))
    mean = batch_mean(own)
    assert mean.item() == 4  # of 1, 3 and two items whose mean is 6; alone it would be 2
    # d(mean)/d(item) is 1/4 in each process's loss, so 1/2 in their sum, which average_gradients halves.
    let_other_add(torch.tensor(0.5))
    mean.backward()
    assert own.grad is not None
    assert own.grad.tolist() == [0.5, 0.5]


@pytest.mark.usefixtures("second_of_two")
def test_gradients_become_the_mean_of_both_shares(let_other_add: LetOtherAdd) -> None:
    network = nn.Linear(2, 1)
    network.weight.grad, network.bias.grad = torch.tensor([[2.0, -4.0]]), torch.tensor([1.0])
    let_other_add(torch.tensor([6.0, 0.0, 3.0]))
    average_gradients(network)
    assert network.weight.grad.tolist() == [[4.0, -2.0]]
    assert network.bias.grad.tolist() == [2.0]


@pytest.mark.usefixtures("second_of_two")
def test_batch_norm_normalises_by_all_items(let_other_add: LetOtherAdd) -> None:
    norm = BatchNorm1d(1, eps=0.0, momentum=0.1)
    # The whole batch is 1, 3, 5, 7: mean 4, biased variance 5, unbiased 20/3.
    let_other_add(torch.tensor([6.0]), torch.tensor([5.0]))
    outputs = norm(torch.tensor([[1.0], [3.0]]))
    assert outputs.flatten().tolist() == pytest.approx([-3 / 5**0.5, -1 / 5**0.5])
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.item() == pytest.approx(0.4)
    assert norm.running_var.item() == pytest.approx(0.9 + 0.1 * 20 / 3)
    assert norm.num_batches_tracked is not None
    assert norm.num_batches_tracked.item() == 1


def test_without_the_other_process_it_would_normalise_by_its_own_items() -> None:
    outputs = BatchNorm1d(1, eps=1e-12)(torch.tensor([[1.0], [3.0]]))
    assert outputs.flatten().tolist() == pytest.approx([-1, 1])


@pytest.mark.usefixtures("second_of_two")
def test_in_evaluation_nobody_is_asked() -> None:
    norm = BatchNorm2d(1, eps=0.0).eval()
    images = torch.tensor([[[[1.0, 3.0]]]])
    assert torch.equal(norm(images), images)


@pytest.mark.parametrize("layer", [GaussianNoise(0.5), Dropout(0.4), RandomChanges()])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_random_layers_give_each_process_what_one_would_give_its_items(
    layer: nn.Module, layout: torch.memory_format
) -> None:
    # Two batches of four, as real and fake images go through D together; each process has two of each.
    whole = torch.linspace(-1, 1, 8 * 3 * 6 * 6).reshape(8, 3, 6, 6).contiguous(memory_format=layout)
    torch.manual_seed(0)
    expected = layer(whole)
    for rank, rows in ((0, [0, 1, 4, 5]), (1, [2, 3, 6, 7])):
        torch.manual_seed(0)
        with sharded(BatchShard(rank, count=2, size=2)):
            found = layer(whole[rows].contiguous(memory_format=layout))
        assert torch.allclose(found, expected[rows], rtol=0, atol=1e-6)
        assert not torch.allclose(found, expected[[7 - row for row in rows]], atol=1e-2)
