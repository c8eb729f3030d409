"""Any folder or zip of images, with classes as folders in it, below the data folders."""

from ganlib.datasets.labelled import LabelledImages, Split
from ganlib.datasets.pictures import load_pictures
from ganlib.datasets.roots import DATA_VARIABLE, data_roots, find_in_roots
from ganlib.errors import DatasetUnavailable
from ganlib.sections.datasets import FolderSpec


def load_folder(spec: FolderSpec, split: Split) -> LabelledImages | None:
    """Return the images as RGB (N, 3, size, size); raises DatasetUnavailable."""
    found = find_in_roots(spec.path)
    if found is None:
        places = " or ".join(str(root) for root in data_roots())
        raise DatasetUnavailable(
            f"There is no folder or zip {spec.path} in {places}: put it there, or set {DATA_VARIABLE} to the "
            "folder that it is in."
        )
    return load_pictures(found, spec.size, split)
