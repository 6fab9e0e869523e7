"""Has LLaMA-Factory's own loader read what cohobate wrote, by the dataset_info.json beside it, and prints how many rows
came through with words in them. Arguments: DIRECTORY NAME...
"""
import importlib.machinery
import json
import os
import sys
import types

os.environ["DISABLE_VERSION_CHECK"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import datasets
import transformers  # noqa: F401  (before the stand-in below)

# Imported for audio, which no row here has.
audio = types.ModuleType("torchaudio")
audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
sys.modules["torchaudio"] = audio

from llamafactory.data.loader import _load_single_dataset
from llamafactory.data.parser import get_dataset_list
from llamafactory.hparams import DataArguments, ModelArguments

datasets.disable_progress_bars()
directory, names = sys.argv[1], sys.argv[2:]


class Training:
    should_log = False
    local_process_index = 0
    seed = 0
    do_train = True


for name in names:
    data = DataArguments(dataset_dir=directory, preprocessing_num_workers=None, overwrite_cache=True)
    (attributes,) = get_dataset_list([name], directory)
    rows = _load_single_dataset(attributes, ModelArguments(model_name_or_path="none"), data, Training())
    blanked = sum(1 for row in rows if not row["_prompt"] or not row["_response"])
    turns = sum(len(row["_prompt"]) + len(row["_response"]) for row in rows)
    roles = sorted({message["role"] for row in rows for message in row["_prompt"] + row["_response"]})
    systems = sum(1 for row in rows if row["_system"])
    tools = sum(1 for row in rows if json.loads(row["_tools"] or "[]"))
    print(json.dumps({
        "name": name, "rows": len(rows), "blanked": blanked, "messages": turns, "roles": roles, "systems": systems,
        "tools": tools,
    }))
