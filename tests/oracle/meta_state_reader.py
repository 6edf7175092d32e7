#!/usr/bin/env python3
"""docs/meta_state_reader.py runs the reference Meta-State models with the reference logits.

    meta_state_reader.py GOLDEN_FOLDER        tests/golden/model

Exit code 77: torch, safetensors or h5py is not installed.
"""
import json
import pathlib
import sys
import tempfile

import common

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs"))
try:
    import h5py
    import torch
    from meta_state_reader import MetaState
    from safetensors.torch import save_file
except ImportError as error:
    common.skip(error)


def exported(file, folder):
    """The reference file in the layout of `metascale export --format meta_state`."""
    golden = json.loads(file.attrs["config"])
    words = dict(layers=golden["L"], width=golden["D"], heads=golden["H"], head_size=golden["N"],
                 read_out=golden.get("read_out", "none"), read_state=golden.get("read_state", "previous"))
    (pathlib.Path(folder) / "config.json").write_text(json.dumps(words))
    save_file({name: torch.tensor(value[()]).float().contiguous() for name, value in file["params"].items()},
              pathlib.Path(folder) / "model.safetensors")


def main():
    for name in ("metastate_tiny", "metastate_current_tiny", "metastate_timemix_tiny", "rwkv7_tiny"):
        with h5py.File(pathlib.Path(sys.argv[1]) / (name + ".h5")) as file, tempfile.TemporaryDirectory() as folder:
            exported(file, folder)
            model = MetaState(folder)
            for position, token in enumerate(file["tokens"][0]):
                logits = model.read(int(token)).tolist()
                common.expect_equal(f"{name}, token {position}", logits, file["logits"][0][position].tolist())


if __name__ == "__main__":
    main()
