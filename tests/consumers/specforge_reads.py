"""Has SpecForge make prompt tasks of what cohobate wrote, and prints for each file how many rows it keeps unchanged."""
import json
import sys

from specforge.data.prompt_builder import prepare_prompt_tasks

for path in sys.argv[1:]:
    tasks = prepare_prompt_tasks(
        path, None, chat_template=None, max_length=8192, is_preformatted=False, train_only_last_turn=False,
        cache_dir=None, cache_key=None, num_proc=None,
    )
    kept = [task["payload"] for task in tasks]
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    written = [{name: row[name] for name in ("input_ids", "loss_mask")} for row in rows]
    learned = sum(sum(payload["loss_mask"]) for payload in kept)
    print(json.dumps({"path": path, "rows": len(kept), "learned": learned, "is_equal": kept == written}), flush=True)
