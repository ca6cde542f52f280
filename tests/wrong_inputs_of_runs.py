"""Wrong inputs of what goes on with runs, as in wrong_inputs.py."""

SCALE = """
--coefficients published --phi 7..1 | --phi | '7..1' | as in 1..7, or 0.5,1,2
--coefficients published --phi 1.. | --phi | '1..' | as in 1..7, or 0.5,1,2
--coefficients published --phi ..7 | --phi | '..7' | as in 1..7, or 0.5,1,2
--coefficients published --phi a | --phi | 'a' | as in 1..7, or 0.5,1,2
--coefficients published --phi '' | --phi | '' | a value is needed
--coefficients published --phi=-1 | --phi | '-1' | from 0, the base, to 20
--coefficients published --phi 1e9 | --phi | '1e9' | from 0, the base, to 20
--coefficients published --phi nan | --phi | 'nan' | is not a number
--coefficients published --phi 1,,2 | --phi | '1,,2' | as in 1..7, or 0.5,1,2
--coefficients published --phi 8 | --phi | 8 | ends at 7
--coefficients published --phi 1.5 | --phi | 1.5 | which are 1, 2, ...
--coefficients paper | --coefficients | 'paper' | ALPHA,BETA,GAMMA or published
--coefficients 1.2,1.1 | --coefficients | '1.2,1.1' | ALPHA,BETA,GAMMA
--coefficients 1.2,1.1,1.15,1 | --coefficients | '1.2,1.1,1.15,1' | ALPHA,BETA,GAMMA
--coefficients 0.9,1.1,1.15 | --coefficients | alpha 0.9 | a number from 1 to 10
--coefficients nan,1.1,1.15 | --coefficients | alpha nan | a number from 1 to 10
--coefficients 1.2,1e300,1 | --coefficients | beta 1e+300 | a number from 1 to 10
--coefficients 1.2,1.1,1.15 --base '' | --base | '' | a value is needed
--coefficients 1.2,1.1,1.15 --base nothing | --base | 'nothing' | python -m search_spaces list
--coefficients 1.2,1.1,1.15 --base efficientnet | --base | 'efficientnet' | did you mean efficientnet_b
--coefficients 1.2,1.1,1.15 --base text.txt | --base | 'text.txt' | .json or .yaml file
--coefficients 1.2,1.1,1.15 --base half.json | half.json | not valid JSON | line 1
--coefficients 1.2,1.1,1.15 --base empty | --base | empty | holds no search
--coefficients 1.2,1.1,1.15 --base cat | --base | cat | a published name will do, too
--coefficients 1.2,1.1,1.15 --base scale | --base | scale | a published name will do, too
--coefficients 1.2,1.1,1.15 --base a-trials-torn | a-trials-torn/trials.jsonl | line 1 | is damaged
--coefficients 1.2,1.1,1.15 --base a-spec-odd | a-spec-odd/spec.yaml: objectives | 'speed' | top1, val_loss
--coefficients 1.2,1.1,1.15 --base a-spec-list | a-spec-list/spec.yaml: spec | [1, 2] | is not a mapping
--coefficients published --base resnet18 | --coefficients | resnet18 has no published family | efficientnet_b0
--coefficients published --max-resolution 300 | --max-resolution | the published networks | give coefficients
--coefficients published --rounding nearest | --rounding | 'nearest' | rounded officially
--coefficients published --target-macs 1e9 | --target-macs | the published networks | give coefficients
--coefficients 1.2,1.1,1.15 --base b0.json --target-macs 5 | --target-macs | 5 MACs | the base's 3.858e+08
--coefficients 1.2,1.1,1.15 --base b0.json --target-macs x | --target-macs | 'x' | as in 0.7e9,1e9
--coefficients 1.2,1.1,1.15 --base b0.json --target-macs 0 | --target-macs | '0' | is not above 0
--coefficients 1.2,1.1,1.15 --base b0.json --target-macs '1e6 M' | --target-macs | '1e6 M' | as in 0.7e9,1e9
--coefficients 1,1,1 --base b0.json --target-macs 1e9 | --target-macs | 1e+09 MACs | never reached
--coefficients 1.2,1.1,1.15 --base b0.json --constraint 'macs<=1e3' | --constraint | macs<=1000 | the base itself
--coefficients 1.2,1.1,1.15 --base b0.json --constraint 'macs>=1e9' | --constraint | 'macs>=1e+09' | no upper limit
--coefficients 1.2,1.1,1.15 --base b0.json --constraint 'top1<=1' | --constraint | 'top1' | latency_ms, peak_memory_mb
--coefficients 1,1,1 --base b0.json --constraint 'macs<=1e9' | --constraint | macs<=1e+09 | kept by every network
--coefficients 1.2,1.1,1.15 --base b0.json --rounding up | --rounding | 'up' | 'official', 'unguarded', 'nearest'
--coefficients 1.2,1.1,1.15 --base b0.json --max-resolution 100 | --max-resolution | 100 | the base's 224
--coefficients 1.2,1.1,1.15 --base b0.json --max-resolution 0 | --max-resolution | '0' | an integer >= 1
--coefficients 1.2,1.1,1.15 --grid-step 0.1 | --grid-step | is for a study | leave one of them out
--coefficients 1.2,1.1,1.15 --tolerance 0.2 | --tolerance | is for a study | leave one of them out
--coefficients 1.2,1.1,1.15 --seeds 3 | --seeds | is for a study | leave one of them out
--coefficients 1.2,1.1,1.15 --epochs 3 | --epochs | is for a study | leave one of them out
--coefficients 1.2,1.1,1.15 --set train.epochs=3 | --set | is for a study | leave one of them out
--coefficients 1.2,1.1,1.15 --base b0.json --out a | --out | a | name another folder
--coefficients 1.2,1.1,1.15 --base b0.json --out text.txt/run | --out | text.txt/run | text.txt is a file
--coefficients 1.2,1.1,1.15 --base b0.json --out '' | --out | '' | a value is needed
--base b0.json --grid-step 0.7 | --grid-step | 0.7 | within 0.1 of 2
--base b0.json --grid-step -0.1 | --grid-step | -0.1 | a number > 0
--base b0.json --grid-step nan | --grid-step | nan | a number > 0
--base b0.json --grid-step fine | --grid-step | 'fine' | is not a number
--base b0.json --tolerance inf | --tolerance | inf | a number > 0
--base b0.json --rule depth,deep | --rule | 'deep' | compound, depth, width
--base b0.json --rule d0_w0_r0 | --rule | 0, 0, 0 | >= 0 with one above 0
--base b0.json --seeds 0 | --seeds | 0 | at least 1
--base b0.json --validate 9 | --validate | phi 9 | at most 5
--base b0.json --validate 3..2 | --validate | '3..2' | as in 1..7, or 0.5,1,2
--base b0.json --study-rounding down | --study-rounding | 'down' | 'official', 'unguarded', 'nearest'
--base b0.json --set search.trials=3 | --set search.trials | a scaling study has none | data., train.
--base b0.json --width 0 | space.width | 0.0 | greater than 0
--base b0.json --data imagenet | data | 'imagenet' | imagefolder:DIR
--base b0.json --gpus 9 | gpus | 9 | this machine has
--base b0.json --spec list.yaml | --spec | list.yaml | does not hold a mapping
--base b0.json --data digits --target-macs 5 | --target-macs | 5 | less than the base's
--base b0.json --data digits --max-resolution 20 | --max-resolution | 20 | the base's 224
--base b0.json --data digits --constraint 'params<=100' | --constraint | params<=100 | the base itself
--resume '' | --resume | '' | a value is needed
--resume nowhere | --resume | nowhere | holds no scaling run
--resume text.txt | --resume | text.txt | holds no scaling run
--resume a | --resume | a | holds no scaling run
--resume fid | --resume | fid | holds no scaling run
--resume a-spec-half | a-spec-half/spec.yaml | not valid YAML | line 2
--resume scale-base-half | scale-base-half/base.json | not valid JSON | line 1
--resume scale-base-bare | scale-base-bare/base.json: name | None | is not text
--resume scale-base-list | scale-base-list/base.json: name | None | is not text
--resume scale-base-gone | scale-base-gone/base.json | cannot be read (No such file
--resume scale-base-headless | scale-base-headless/base.json: stem_channels | missing
--resume scale-spec-text | scale-spec-text/spec.yaml | 5 | a dictionary
--resume scale-spec-odd | scale-spec-odd/spec.yaml: phis | 'one' | a list
--resume scale-spec-data | scale-spec-data/spec.yaml: data | 5 | a mapping
--resume scale-spec-bare | scale-spec-bare/spec.yaml: command | missing
--resume scale --phi 7..1 | --phi | '7..1' | as in 1..7, or 0.5,1,2
--resume scale --seeds 5 | --seeds | stays as it was | allowed with --resume are --phi
--resume scale --base b0.json | --base | stays as it was | allowed with --resume are --phi
--resume scale --later-stages | --later-stages | stays as it was | allowed with --resume are --phi
--resume scale --dry-run | --dry-run | does not go with --resume
--resume scale --set train.epochs=3 | --epochs | stays as it was | allowed with --resume are --phi
--resume scale --constraint 'params<=1' | --constraint | params<=1 | the base itself
--resume scale --target-macs 5 | --target-macs | 5 | the base's 3.858e+08
"""
REPORT = """
nowhere | nowhere | is no folder
--force | required | RUN_DIR
'' | RUN_DIR | '' | a value is needed
text.txt | text.txt | is no folder
empty | empty | holds no run (no spec.yaml)
a a | RUN_DIR | named twice
a scale | scale | a scaling run | only searches can be compared
a-trials-torn | a-trials-torn/trials.jsonl | line 1 | is damaged
a-trials-foreign | a-trials-foreign/trials.jsonl: schema | 7 | is not 1
a-spec-list | a-spec-list/spec.yaml | no section | fidelity, scale, catalogue, search
a-spec-odd | a-spec-odd/spec.yaml: objectives | 'speed' | top1, val_loss
a-spec-half | a-spec-half/spec.yaml | not valid YAML | line 2
a-spec-empty | a-spec-empty/spec.yaml | no section | fidelity, scale, catalogue, search
a-space-half | a-space-half/space.yaml | not valid YAML | line 2
a-trials-gone | a-trials-gone | holds no run (no trials.jsonl)
scale-scaling-half | scale-scaling-half/scaling.json | holds no scaling run
scale-scaling-old | scale-scaling-old/scaling.json: schema | 0 | is not 1
scale-scaling-bare | scale-scaling-bare/scaling.json | holds no scaling run
scale-scaling-list | scale-scaling-list/scaling.json | holds no scaling run
fid-fidelity-half | fid-fidelity-half/fidelity.json | is damaged
fresh | fresh | a scaling run without a record yet
cat-spec-text | cat-spec-text/spec.yaml: catalogue | 5 | is not a mapping
locked --watch | locked/.lock | Is a directory
a --out there.html | --out | there.html | --force replaces it
a --out '' | --out | '' | a value is needed
a --out a/trials.jsonl --force | --out | a/trials.jsonl | end in .html
a --out nowhere/page.html | --out | nowhere | is no folder
a --out folder.html --force | --out | folder.html | is a folder
a --csv there.csv | --csv | there.csv | --force replaces it
a --csv '' | --csv | '' | a value is needed
a --csv a/trials.jsonl --force | --csv | a/trials.jsonl | end in .csv
a --csv folder.csv --force | --csv | folder.csv | is a folder
a --parquet a.csv | --parquet | a.csv | end in .parquet
scale --csv new.csv | --csv | scale | holds no search
a --png '' | --png | '' | a value is needed
a --svg '' | --svg | '' | a value is needed
a --png text.txt | --png | text.txt | name another folder
a --svg text.txt/x | --svg | text.txt/x | text.txt is a file
a --tensorboard a | --tensorboard | a | name another folder
a --tensorboard '' | --tensorboard | '' | a value is needed
a --tensorboard text.txt | --tensorboard | text.txt | name another folder
a --tensorboard text.txt/x | --tensorboard | text.txt/x | text.txt is a file
a b --tensorboard tb | --tensorboard | is of one run | 2 are named
a --optuna study.txt | --optuna | 'study.txt' | ends in .db
a --optuna there.db | --optuna | there.db | holds no Optuna storage
a --optuna there.log | --optuna | there.log | holds no Optuna storage
a --optuna nosql://there | --optuna | nosql://there | cannot be opened
a --optuna '' | --optuna | '' | a value is needed
a --optuna ://x | --optuna | '://x' | ends in .db
a --optuna mysql://x:y:z/a | --optuna | 'mysql://x:y:z/a' | ends in .db
a --optuna nowhere/a.db | --optuna | nowhere | is no folder
a --optuna sqlite:// | --optuna | 'sqlite://' | names no file
--watch a | --watch | 'a' | a number > 0, of seconds; the folder goes before --watch
a --watch 0 | --watch | '0' | a number > 0, of seconds
a --watch nan | --watch | 'nan' | a number > 0, of seconds
a --watch --csv new.csv | --csv | does not go with --watch
scale --watch | --watch | scale | a scaling run, whose page is written at its end
a b --watch | --watch | is of one run | 2 are named
a --pgn x | '--pgn' | did you mean --png
"""
TABLES = [("nas.scale", SCALE), ("nas.report", REPORT)]
