"""How images are put together for judging."""

from kdzoo.prediction import BATCH_BYTES, in_batches


def batches(sizes, most=4):
    return list(in_batches(sizes, most, lambda size: size))


def test_few_enough_and_of_few_enough_bytes():
    half = BATCH_BYTES // 2
    assert batches([1] * 9) == [[1] * 4, [1] * 4, [1]]
    assert batches([half, half, half, 1]) == [[half, half], [half, 1]]
    assert batches([3 * half, 1, 1, 3 * half]) == [[3 * half], [1, 1], [3 * half]]
    assert batches([]) == []


def test_no_more_is_read_than_is_held():
    read = []

    def images():
        for number in range(6):
            read.append(number)
            yield BATCH_BYTES

    taken = in_batches(images(), 4, lambda size: size)
    for number in range(1, 6):
        assert next(taken) == [BATCH_BYTES]
        assert len(read) == number + 1
