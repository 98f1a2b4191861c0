"""FAISS, which exists in two distributions under one name."""

from types import ModuleType


def import_faiss() -> ModuleType:
    """Import FAISS.

    Raises:
        ImportError: If it is missing; the message says what to install.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            'the cluster probe needs FAISS: install faiss-cpu (pip install -r requirements/cpu.txt), or faiss-gpu on a '
            'machine with CUDA (requirements/gpu.txt), but never both'
        ) from error
    return faiss
