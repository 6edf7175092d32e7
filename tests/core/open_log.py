"""Opens a run.h5 with h5py, by the very lines that docs/log-schema.md shows.

usage: open_log.py WRITE_SAMPLE_LOG LOG_SCHEMA_MD
"""
import os
import re
import subprocess
import sys
import tempfile

import h5py


def lines_of_the_document(path):
    text = open(path, encoding="utf-8").read()
    return re.search(r"```python\n(.*?)```", text, re.S).group(1)


def check_columns(file):
    for group in ["steps", "evaluations", "evaluations/domains", "evaluations/positions",
                  "evaluations/segments", "events"]:
        columns = [c for c in file[group].values() if isinstance(c, h5py.Dataset)]
        assert len({len(c) for c in columns}) == 1, f"{group}: columns of unequal length"
        for column in columns:
            assert column.attrs["unit"] is not None and column.attrs["description"], column.name
            assert column.chunks and column.compression == "gzip", column.name
    assert list(file["steps/step"]) == [1, 2, 3, 4, 5]
    assert file["steps/digest"][0] == 0xFEDCBA9876543211
    assert list(file["evaluations/split"].asstr()) == ["validation", "test"]
    assert list(file["evaluations/domains/evaluation"]) == [0, 0, 1, 1]
    assert file.attrs["schema"] == 1 and file["facts"].attrs["parameters"] == "151000000"
    assert file["configuration"].asstr()[()].startswith("schema: 1")


def main():
    write_sample_log, document = sys.argv[1:]
    code = lines_of_the_document(document)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([write_sample_log, os.path.join(folder, "run.h5")], check=True)
        os.chdir(folder)
        assert len(code.strip().splitlines()) == 3, "the document promises three lines"
        names = {}
        exec(code, names)  # noqa: S102 (our own document)
        assert names["loss"][4] == 11 / 6, names["loss"]
        names["log"].close()
        with h5py.File("run.h5", "r") as file:
            check_columns(file)


main()
