"""Of the platform team's run: was nothing lost, did no trial run twice, and does optuna-dashboard show all of it?

python examples/whole.py RUN_DIR http://127.0.0.1:8080 TRIALS
"""

import json
import sys
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

run, dashboard, trials = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
events = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
finished: Counter[int] = Counter()
for event in events:
    if event["event"] == "started" and finished[event["trial"]]:
        sys.exit(f"trial {event['trial']} ran again after it had finished")
    finished[event["trial"]] += event["event"] == "finished"
if finished != Counter(range(trials)):
    sys.exit(f"not every trial finished once: {dict(finished)}")
again = sum(event["event"] == "started" for event in events) - trials
print(f"ledger: {trials} of {trials} trials finished once, {again} were broken off and begun again")

(study,) = json.load(urlopen(f"{dashboard}/api/studies"))["study_summaries"]
shown = json.load(urlopen(f"{dashboard}/api/studies/{study['study_id']}"))["trials"]
if [trial["number"] for trial in shown] != list(range(trials)):
    sys.exit(f"optuna-dashboard shows {len(shown)} trials")
print(f"optuna-dashboard: study {study['study_name']!r}, {len(shown)} trials, {Counter(t['state'] for t in shown)}")
