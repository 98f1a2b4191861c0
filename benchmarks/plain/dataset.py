"""A dataset of image paths as one writes it without a thought for millions."""

import os
from pathlib import Path

from mmengine.dataset import BaseDataset


class DictListDataset(BaseDataset):
    """A dict for each image, from a list file or from walking a folder; MMEngine pickles each into its buffer."""

    METAINFO = dict(classes=(), palette=[])

    def load_data_list(self) -> list[dict]:
        """The paths, sorted if they come from a folder."""
        if self.ann_file:
            lines = Path(self.ann_file).read_text(encoding='utf-8').splitlines()
            return [dict(img_path=os.path.join(self.data_prefix['img_path'], line)) for line in lines]
        found = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(self.data_prefix['img_path'])
            for name in names
            if name.lower().endswith(('.jpg', '.png')) and os.path.isfile(os.path.join(folder, name))
        ]
        return [dict(img_path=path) for path in sorted(found)]


class ListInMemory:
    """The dicts themselves: reading one writes its reference count, and with it the page of a forked worker."""

    def __init__(self, data_list: list[dict]) -> None:
        self.data_list = data_list

    def __len__(self) -> int:
        return len(self.data_list)

    def get_data_info(self, index: int) -> dict:
        """The dict of an image."""
        return dict(self.data_list[index])
