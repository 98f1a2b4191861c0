"""Names of outputs for the images of a data set."""

from collections.abc import Iterator

from torch.utils.data import Dataset

from mmvice.utils.output_names import output_names


def members(dataset: Dataset) -> Iterator[Dataset]:
    """The data sets within wrappers such as MMEngine's ``ConcatDataset`` and ``RepeatDataset``; else the set itself."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner == [None]:
        yield dataset
        return
    for member in inner:
        yield from members(member)


def image_output_names(dataset: Dataset) -> dict[str, str]:
    """A name without ending for every image of a data set, by its path; see :func:`mmvice.utils.output_names`."""
    paths, folders = [], []
    for member in members(dataset):
        if not hasattr(member, 'get_data_info'):
            continue
        paths += [member.get_data_info(index)['img_path'] for index in range(len(member))]
        folder = (getattr(member, 'data_prefix', None) or {}).get('img_path') or ()
        folders += [folder] if isinstance(folder, str) else folder
    return output_names(paths, folders)
