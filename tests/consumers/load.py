"""Loads what cohobate wrote with Hugging Face's `datasets` and prints, for each, rows and columns as JSON."""
import json
import sys

import datasets

datasets.disable_progress_bars()
for path in sys.argv[1:]:
    if path.endswith("/"):
        loaded = datasets.load_dataset(path, split="train")
    else:
        loaded = datasets.load_dataset("json", data_files=path, split="train")
    print(json.dumps({"path": path, "rows": len(loaded), "columns": loaded.column_names, "first": loaded[0]}))
