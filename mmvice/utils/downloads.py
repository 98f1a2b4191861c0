"""Downloading and keeping files."""

from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.logging import print_log

from .files import is_no_space


def download(url: str, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Download a file, unless a file of that name exists.

    Args:
        url: Address; the last part of its path is the file name.
        folder: Target folder; by default torch's cache, ``$TORCH_HOME/hub/checkpoints``, like MMEngine and torchvision.
        progress: Whether to show the progress.

    Returns:
        Path: The file.

    Raises:
        ValueError: If the URL names no file.
        ConnectionError: If it could not be downloaded.
    """
    name = Path(urlparse(url).path).name
    if name in ('', '..'):
        raise ValueError(f'{url} names no file to download')
    file = Path(folder or Path(torch.hub.get_dir(), 'checkpoints'), name)
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    print_log(f'Downloading {url} to {file}', logger='current')
    try:
        torch.hub.download_url_to_file(url, str(file), progress=progress)
    except OSError as error:
        if is_no_space(error):
            raise
        raise ConnectionError(
            f'{url} could not be downloaded ({error}): check the address and the connection, or put the file there as '
            f'{file}'
        ) from error
    return file
