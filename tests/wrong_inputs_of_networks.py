"""Wrong inputs of what needs no training, as in wrong_inputs.py."""

SPACES = """
lst | COMMAND | 'lst' | 'list', 'show', 'sample'
list --jsn | '--jsn' | did you mean --json?
list stray | 'stray' | there is none like it
list --constraint 'params<6e6' | constraint | 'params<6e6' | METRIC<=NUMBER
list --constraint 'speed<=6' | constraint | 'speed' | params, macs
list --constraint 'params<=6e' | constraint | '6e' | a finite number > 0
list --constraint '' | --constraint | '' | a value is needed
list --constraint 'params<=1' | constraint | params<=1 | no published network is within
list --classes -1 | --classes | '-1' | an integer >= 1
show | required | NAME|FILE
show '' | NAME|FILE | '' | a value is needed
show efficientnet_b9 | network | 'efficientnet_b9' | did you mean efficientnet_b7
show EfficientNet_B0 | network | 'EfficientNet_B0' | did you mean efficientnet_b0
show nonesuch | network | 'nonesuch' | python -m search_spaces list
show missing.json | missing.json | cannot be read (No such file
show half.json | half.json | not valid JSON | line 1
show number.json | number.json: arch | 5 | is not a mapping
show empty.json | empty.json | not valid JSON | line 1
show null.json | null.json: arch | None | is not a mapping
show bad.json | bad.json: stem_channels | missing
show two.json | two.json | holds 2 networks | one is needed
show none.json | none.json | holds 0 networks | one is needed
show folder.json | folder.json | cannot be read (Is a directory)
show empty | network | 'empty' | .json or .yaml file
show kernel.yaml | kernel.yaml: choices.kernel | 4 | an odd number >= 1
show v1 resnet50 | v1 resnet50 | give one kind
show resnet50 --resolution 96px | --resolution | '96px' | an integer >= 1
sample | required | --space
sample --space '' | --space | '' | a value is needed
sample --space v9 | space | 'v9' | v1, v2, v2_s
sample --space nothing.yaml | nothing.yaml: choices.kernel | an empty list | at least one value
sample --space v1 -n 0 | -n | '0' | an integer >= 1
sample --space v1 --width inf | --width | 'inf' | a number > 0
sample --space v1 --width 1e9 | width | 1000000000.0 | at most 100
sample --space v1 --seed x | --seed | 'x' | is not an integer
"""
EXPORT = """
--to timm | network | --from BUILDER:NAME
efficientnet_b0 | required | --to
efficientnet_b0 --to | --to | expected one argument
'' --to timm | RUN_DIR|FILE|NAME | '' | a value is needed
efficientnet_b0 --to '' | --to | '' | a value is needed
efficientnet_b0 --to tensorflow | --to | 'tensorflow' | torchvision, timm, keras, onnx
efficientnet_b0 --to json, | --to | '' | torchvision, timm, keras, onnx
efficientnet_b9 --to json | network | 'efficientnet_b9' | did you mean efficientnet_b7
missing.json --to json | missing.json | cannot be read (No such file
bad.json --to json | bad.json: stem_channels | missing
half.json --to json | half.json | not valid JSON | line 1
two.json --to json | two.json | holds 2 networks | one is needed
gone.json --to json | no file gone.pt | --weights
nan.json --to json | nan.json: mean | [nan, 0, 0] | three numbers
names.json --to json | classes | 1 names | but 5 classes
label.json --to json | label.json: classes | 'ab' | a list of names
text.txt --to json | network | 'text.txt' | .json or .yaml file
empty --to json | network | empty | a run folder with a family nor one with trials
a-trials-torn --to json | a-trials-torn/trials.jsonl | line 1 | is damaged
resnet18 --to timm | --to | timm cannot express resnet18
densenet121 --to timm | --to | timm cannot express densenet121
efficientnet_b0 --to json --out full | --out | full | name another folder
efficientnet_b0 --to json --out text.txt | --out | text.txt | name another folder
efficientnet_b0 --to json --out text.txt/x | --out | text.txt/x | cannot be made
efficientnet_b0 --to json --out link | --out | link | name the folder itself
efficientnet_b0 --to json --out '' | --out | '' | a value is needed
efficientnet_b0 --to json --out . | --out | . | name another folder
efficientnet_b0 --to json --weights '' | --weights | '' | a value is needed
efficientnet_b0 --to json --weights nowhere.pth | --weights | no file nowhere.pth
efficientnet_b0 --to json --weights text.pth | --weights | text.pth | a state dict that torch.save wrote
efficientnet_b0 --to json --weights evil.pth | --weights | evil.pth | a state dict that torch.save wrote
efficientnet_b0 --to json --weights pickled.pth | --weights | pickled.pth | a state dict that torch.save wrote
efficientnet_b0 --to json --weights folder.pth | --weights | folder.pth | a state dict that torch.save wrote
efficientnet_b0 --to json --weights flat.pth | --weights | flat.pth | has no classifier
mnasnet_a1 --to json --weights other.pth | weights | other.pth | of another network
efficientnet_b0 --to json --num-classes 0 | --num-classes | '0' | an integer >= 1
efficientnet_b0 --to json --num-classes 5 --weights other.pth | --num-classes | the weights have their own
efficientnet_b0 --to json --all | --all | 'efficientnet_b0' | needs a run folder
efficientnet_b0 --to json --network x | --network | 'efficientnet_b0' | needs a run folder
a --to json | network | a | has found no network yet
scale --to json --network b9 | --network | 'b9' | is not one of b1, nor the id of a finished trial
a --to json --all --network x | --network | does not go with --all
a --to json --all --weights other.pth | --weights | does not go with --all
efficientnet_b0 --to json --int8 digits | --int8 | is for --to onnx
mnasnet_a1 --to onnx --int8 nothing | data | 'nothing' | imagefolder:DIR
mnasnet_a1 --to onnx --int8 digits | --int8 | digits has 10 classes | the network 1000
efficientnet_b0 --to json --seed x | --seed | 'x' | is not an integer
--from timm --to json | --from | 'timm' | timm:NAME or torchvision:NAME
--from timm: --to json | --from | 'timm:' | timm:NAME or torchvision:NAME
--from keras:B0 --to json | --from | 'keras:B0' | timm:NAME or torchvision:NAME
--from timm:nothing --to json | --from | 'nothing' | timm has no network
--from timm:../x --to json | --from | '../x' | timm has no network
--from timm:hf-hub:foo/bar --to json | --from | 'hf-hub:foo/bar' | timm has no network
--from timm:mixnet_s --to json | --from | mixnet_s | is not MBConv
--from torchvision:efficientnet_b9 --to json | --from | 'efficientnet_b9' | torchvision has no network
--from torchvision:fasterrcnn_resnet50_fpn --to json | --from | 'fasterrcnn | torchvision has no network
--from torchvision:squeezenet1_1 --to json | --from | squeezenet1_1 | has no convolution without bias
efficientnet_b0 --from timm:resnet18 --to json | network | name a run folder | --from
--from timm:resnet18 --to json --weights other.pth | --weights | does not go with --from
--from timm:resnet18 --to json --all | --all | 'timm:resnet18' | needs a run folder
"""
LATENCY = """
--threads 1 | NAME | missing | a published network
'' | NAME|FILE | '' | a value is needed
resnet18 mobilenet_v2 | 'mobilenet_v2' | there is none like it
efficientnet_b9 | network | 'efficientnet_b9' | did you mean efficientnet_b7
missing.json | missing.json | cannot be read (No such file
bad.json | bad.json: stem_channels | missing
text.txt | network | 'text.txt' | .json or .yaml file
model.onnx | model.onnx | ONNX Runtime cannot read it
nowhere.onnx | nowhere.onnx | cannot be read (No such file
resnet18 --mode graph | latency.mode | 'graph' | 'eager', 'compile'
resnet18 --mode cuda_graph --device cpu | latency.mode | 'cuda_graph' | eager, compile, onnxruntime
resnet18 --dtype float16 --device cpu | latency.dtype | 'float16' | float32
resnet18 --dtype int8 | latency.dtype | 'int8' | 'float32', 'float16'
resnet18 --device tpu | --device | 'tpu' | cpu, cuda or an address
resnet18 --device '' | --device | '' | a value is needed
resnet18 --device usb:1 | device | 'usb:1' | ssh:[user@]host
resnet18 --device ssh:nowhere.invalid | device | ssh:nowhere.invalid | no agent starts there
resnet18 --device local:/nowhere/python | device | /nowhere/python | cannot be run here
resnet18 --device local: --against mobilenet_v2 | --against | on another device | the fixed reference only
resnet18 --device cpu --precision 2 | latency.precision | 2.0 | less than 1
resnet18 --precision 1% | --precision | '1%' | is not a number
resnet18 --precision nan | latency.precision | nan | less than 1
resnet18 --max-seconds 0 | --max-seconds | '0' | a number > 0
resnet18 --threads 9999 --device cpu | --threads | 9999 | cores that this process may use
resnet18 --threads 0 | --threads | '0' | an integer >= 1
resnet18 --batch 0 | --batch | '0' | an integer >= 1
resnet18 --resolution 96px | --resolution | '96px' | an integer >= 1
resnet18 --against resnet | network | 'resnet' | did you mean resnet
resnet18 --constraint 'params<=1' | --constraint | ['params<=1'] | is for --catalogue
resnet18 --out x | --out | 'x' | is for --catalogue
resnet18 --space v1 | --space | 'v1' | is for --fit-table
--catalogue resnet18 | NAME | 'resnet18' | does not go with --catalogue
--catalogue --resolution 96 | --resolution | 96 | does not go with --catalogue
--catalogue --against resnet18 | --against | 'resnet18' | does not go with --catalogue
--catalogue --constraint 'watts<=3' | constraint | 'watts' | latency_ms
--catalogue --constraint 'params=3' | constraint | 'params=3' | METRIC<=NUMBER
--catalogue --constraint 'params<=1e3' | constraint | params<=1000 | no published network is within
--catalogue --device ssh:nowhere --constraint 'peak_memory_mb<=9' | constraint | peak_memory_mb<=9 | is not measured
--catalogue --out a | --out | a | name another folder
--catalogue --out text.txt/run | --out | text.txt/run | text.txt is a file
--catalogue --out '' | --out | '' | a value is needed
--catalogue --resume x --batch 2 | --batch | 2 | stays as it was with --resume
--catalogue --resume nowhere | --resume | nowhere | holds no measurements of the catalogue
--catalogue --resume a | --resume | a | holds no measurements of the catalogue
--catalogue --resume cat | --resume | cat | begin a new folder
--catalogue --resume cat-spec-text | cat-spec-text/spec.yaml: catalogue | 5 | is not a mapping
--catalogue --fit-table t.json | --catalogue | does not go with --fit-table
--fit-table t.json resnet18 | NAME | 'resnet18' | does not go with --fit-table
--fit-table t.json --device ssh:pi | --device | 'ssh:pi' | cpu or cuda
--fit-table t.json --space v9 | space | 'v9' | v1, v2, v2_s
--fit-table t.json --networks 2 --device cpu | --networks | 2 of space v2 | at least 3
--fit-table t.json --classes 0 | --classes | '0' | an integer >= 1
--fit-table t.json --seed x | --seed | 'x' | is not an integer
--fit-table nowhere/t.json | --fit-table | nowhere | is no folder
--fit-table text.txt | --fit-table | text.txt | name another file
--fit-table folder.json | --fit-table | folder.json | name another file
--fit-table '' | --fit-table | '' | a value is needed
--predict table.json | NAME | missing | a published network
resnet18 --predict nowhere.json | nowhere.json | cannot be read | python -m nas.latency --fit-table
resnet18 --predict table.json | table.json | no latency table | python -m nas.latency --fit-table
resnet18 --predict old_table.json | old_table.json: schema | 99 | is not 1
resnet18 --predict folder.json | folder.json | Is a directory | python -m nas.latency --fit-table
"""
ALL = """
serach | command | 'serach' | search, scale, export
'' | command | '' | search, scale, export
search --trials 0 | search.trials | 0 | greater than or equal to 1
spaces show efficientnet_b9 | network | 'efficientnet_b9' | did you mean efficientnet_b7
report nowhere | nowhere | is no folder
"""
TABLES = [("nas", ALL), ("search_spaces", SPACES), ("nas.export", EXPORT), ("nas.latency", LATENCY)]
