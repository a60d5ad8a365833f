#!/bin/bash
# The peft command from the outside: output, exit codes, messages.
#
#   peft_test.sh PEFT HUB   (off: a build without network code)
set -u
peft=$1
hub=$2
export HF_HUB_OFFLINE=1 HF_HOME=$TEST_TMPDIR/home
data=examples/quickstart
tmp=$TEST_TMPDIR
failures=0

fail() {
  echo "FAILED: $*"
  failures=$((failures + 1))
}

# run CODE ARGUMENTS...: runs peft and checks its exit code.
run() {
  local wanted=$1 code=0
  shift
  "$peft" "$@" >"$tmp/out" 2>"$tmp/err" || code=$?
  [ "$code" = "$wanted" ] || {
    fail "peft $*: exit code $code, not $wanted"
    cat "$tmp/err"
  }
}

says() { grep -qF -- "$1" "$tmp/out" || fail "stdout lacks '$1'"; }
complains() { grep -qF -- "$1" "$tmp/err" || fail "stderr lacks '$1'"; }

# write_ids FILE: a safetensors file with input_ids (1, 6) I64 of "4207=".
write_ids() {
  local header='{"input_ids":{"dtype":"I64","shape":[1,6],"data_offsets":[0,48]}}'
  {
    printf "\\x$(printf %x ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"
    for id in 01 07 05 03 0a 0d; do printf "\\x$id\\0\\0\\0\\0\\0\\0\\0"; done
  } >"$1"
}

run 2
run 0 --help && says 'usage: peft COMMAND'
run 0 version && says 'LORA'
run 2 nonsense && complains 'unknown command "nonsense"'
commands='inspect list save add add-weighted merge quantize probe forward generate'
[ "$hub" = off ] || commands="$commands download cache"
for command in $commands; do
  run 0 $command --help && says "usage: peft $command"
  run 2 $command --nonsense && complains 'unknown option --nonsense'
done

# Hub ids
run 1 inspect owner/name
if [ "$hub" = off ]; then
  complains 'no network code' && complains UNIMPLEMENTED
  run 1 download owner/name && complains UNIMPLEMENTED
  cached=$HF_HOME/hub/models--owner--name
  commit=0123456789abcdef0123456789abcdef01234567
  mkdir -p $cached/refs $cached/snapshots
  printf %s $commit >$cached/refs/main
  cp -r $data/adapters/french $cached/snapshots/$commit
  run 0 inspect owner/name && says LORA
  run 1 cache list && complains UNIMPLEMENTED
else
  complains HUB_LOCAL_ENTRY_NOT_FOUND

  # cache
  run 2 cache && complains 'list, verify, prune or rm'
  run 2 cache nonsense
  run 1 cache list --cache-dir $tmp/nothing && complains FILE_NOT_FOUND
  cached=$tmp/cache/models--owner--name
  commit=0123456789abcdef0123456789abcdef01234567
  blob=$(printf 'hello' | sha256sum | cut -d' ' -f1)
  mkdir -p $cached/refs $cached/blobs $cached/snapshots/$commit
  printf %s $commit >$cached/refs/main
  printf hello >$cached/blobs/$blob
  ln -s ../../blobs/$blob $cached/snapshots/$commit/file
  run 0 cache list --cache-dir $tmp/cache
  says "$(printf 'model\towner/name\t1\t5 B')"
  run 0 cache list --revisions --cache-dir $tmp/cache
  says "$(printf "model\towner/name\t$commit\t5 B")"
  run 0 cache list --json --cache-dir $tmp/cache && says '"size": 5'
  run 0 cache verify --cache-dir $tmp/cache && says '1 blobs are right'
  run 0 cache verify owner/name --json --cache-dir $tmp/cache
  says '"problems": []'
  run 1 cache verify owner/other --cache-dir $tmp/cache
  run 0 cache prune --yes --cache-dir $tmp/cache && says 'freed 0 B'
  printf jello >$cached/blobs/$blob
  run 1 cache verify --cache-dir $tmp/cache && says "$cached/blobs/$blob"
  rm $cached/refs/main
  touch -h -d '1 hour ago' $cached/blobs/* $cached/snapshots/$commit
  run 0 cache prune --dry-run --cache-dir $tmp/cache && says 'would free 5 B'
  run 2 cache prune --cache-dir $tmp/cache </dev/null && complains '--yes'
  [ -e $cached/blobs/$blob ] || fail 'pruned without being told to'
  run 0 cache prune --yes --cache-dir $tmp/cache && says "$commit"
  [ -e $cached/blobs/$blob ] && fail 'not pruned'
  run 2 cache rm --cache-dir $tmp/cache
  run 1 cache rm owner/name@nowhere --yes --cache-dir $tmp/cache
  run 0 cache rm owner/name --yes --cache-dir $tmp/cache
  [ -e $cached ] && fail 'not removed'
fi

# inspect
run 2 inspect
run 2 inspect '' && complains 'an argument is empty'
run 0 inspect $data/adapters/french && says 'LORA'
run 0 inspect $data/adapters/german --model $data/base && says 'q_proj'
run 0 inspect $data/adapters/roman --json && says '"peft_type": "LORA"'
run 1 inspect $data/base && complains 'adapter_config.json'
run 1 inspect $tmp/nothing && complains 'nothing'
mkdir -p $tmp/loha
echo '{"peft_type": "LOHA", "target_modules": ["k_proj"]}' \
  >$tmp/loha/adapter_config.json
cp $data/adapters/german/adapter_model.safetensors $tmp/loha/
run 0 inspect $tmp/loha && says 'LOHA'
echo '{"peft_type": 7' >$tmp/loha/adapter_config.json
run 1 inspect $tmp/loha && complains 'adapter_config.json'

run 0 inspect $data/adapters/german && says 'memory'

# list
run 0 list --model $data/base --adapter $data/adapters/german \
  --adapter $data/adapters/roman
says "$(printf 'german\tLORA\t16')"
says "$(printf 'roman\tLORA\t16')"
run 2 list && complains '--model DIR is needed'

# The base by the adapter's word, which is relative to where one is.
run 1 list --adapter $data/adapters/german && complains '"../../base"'
mkdir -p $tmp/named
cp $data/adapters/german/* $tmp/named/
sed -i "s|\"../../base\"|\"$data/base\"|" $tmp/named/adapter_config.json
run 0 list --adapter $tmp/named && says "$(printf 'named\tLORA\t16')"

# Two that replace one module cannot act together; here they need not.
echo '{"peft_type": "LORA", "target_modules": ["q_proj"],
  "modules_to_save": ["lm_head"]}' >$tmp/config.json
for name in head_1 head_2; do
  run 0 add --model $data/base --config $tmp/config.json --output $tmp/$name
done
heads="--model $data/base --adapter $tmp/head_1 --adapter $tmp/head_2"
run 0 list $heads && says 'head_2'
run 1 probe $heads && complains 'adapter "head_2" was loaded but does nothing'
run 1 generate $heads --prompt-ids 1,7,13 && complains ADAPTER_CONFLICT
run 0 generate $heads --prompt-ids 1,7,13 --row head_1 --row head_2
run 2 generate $heads --prompt-ids 1,7,13 --row head_1 --scale 1 --scale 1
run 2 generate $heads --prompt-ids 1,7,13 --scale 1
run 2 list $heads --scale 1 --scale 1

# A head that the base does not have.
classifier="--task sequence-classification --num-labels 3"
echo '{"peft_type": "LORA", "task_type": "SEQ_CLS",
  "target_modules": ["q_proj"]}' >$tmp/config.json
run 0 add --model $data/base --config $tmp/config.json --output $tmp/classes \
  $classifier
complains 'score.weight'
write_ids $tmp/six.safetensors
classes="--model $data/base --adapter $tmp/classes"
run 0 forward $classes --ids $tmp/six.safetensors --output $tmp/labels \
  --task sequence-classification
grep -q '"shape":\[1,3\]' $tmp/labels || fail "not a row of three labels"
cp -r $data/base $tmp/unpadded
sed -i 's/"pad_token_id": 0/"pad_token_id": null/' $tmp/unpadded/config.json
rows="--model $tmp/unpadded --adapter $tmp/classes --row classes --row __base__
  --task sequence-classification --ids $tmp/six.safetensors
  --output $tmp/labels"
run 1 forward $rows && complains 'no pad_token_id'
run 0 forward $rows --pad-token-id 0
grep -q '"shape":\[2,3\]' $tmp/labels || fail "not two rows of three labels"
run 1 list $classes
complains 'task sequence-classification and num_labels 3'
run 1 list $classes --task sequence-classification --num-labels 2
complains 'the model has 2 labels and the adapter 3'
run 1 inspect $tmp/classes --model $data/base --task question-answering
run 2 list $classes --task nonsense && complains 'token-classification'
run 2 list $classes --num-labels 0

# save
run 0 save --model $data/base --adapter $data/adapters/roman \
  --output $tmp/saved
run 0 inspect $tmp/saved && says 'LORA'
[ -e $tmp/saved/adapter_model.safetensors ] || fail "no safetensors were saved"
run 1 save --model $data/base --adapter $data/adapters/roman \
  --output $tmp/saved
complains 'exists already'
run 0 save --model $data/base --adapter $data/adapters/roman \
  --output $tmp/saved --overwrite
run 2 save --model $data/base --output $tmp/saved
run 1 save --model $data/base --adapter $data/adapters/roman \
  --output $tmp/none/saved

# add: a fresh adapter changes nothing; its seed says what is drawn.
config=$tmp/config.json
echo '{"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}' >$config
run 2 add --model $data/base --config $config && complains '--output'
run 0 add --model $data/base --config $config --output $tmp/fresh
grep -q '"r": 4' $tmp/fresh/adapter_config.json || fail "not what was asked for"
run 0 generate --model $data/base --adapter $tmp/fresh --prompt-ids 1,7,13
says '21 30 36 33 2'
run 1 add --model $data/base --config $config --output $tmp/fresh
complains 'exists already'
for seed in 0 1; do
  run 0 add --model $data/base --config $config --output $tmp/seed_$seed \
    --seed $seed
done
factors=adapter_model.safetensors
cmp -s $tmp/fresh/$factors $tmp/seed_0/$factors || fail "0 is not the default"
cmp -s $tmp/seed_0/$factors $tmp/seed_1/$factors && fail "--seed is ignored"
run 2 add --model $data/base --config $config --output $tmp/x --seed -1
run 1 add --model $data/base --config $tmp/nothing --output $tmp/x
echo '{"peft_type": "LORA", "target_modules": ["nowhere"]}' >$config
run 1 add --model $data/base --config $config --output $tmp/x
printf '{"peft_type": "LORA"}\0' >$config
run 1 add --model $data/base --config $config --output $tmp/x
complains 'is no text'
[ -e $tmp/x ] && fail "a failed run left a folder"

# quantize: a folder that opens and answers; what it was in 8 bits is not much
# another model.
run 2 quantize $data/base
run 2 quantize $data/base $tmp/q8 --format q5
run 0 quantize $data/base $tmp/q8 --format q8 --head
run 0 generate --model $tmp/q8 --adapter $data/adapters/german \
  --prompt-ids 1,7,13
cp $tmp/out $tmp/of_q8
run 0 generate --model $data/base --adapter $data/adapters/german \
  --prompt-ids 1,7,13
cmp -s $tmp/out $tmp/of_q8 || fail "the quantised model answers otherwise"
run 1 quantize $data/base $tmp/q8
run 1 quantize $tmp/q8 $tmp/q4

# merge: the merged model answers as the adapter does, also when it is large.
run 2 merge --model $data/base --output $tmp/merged
run 2 merge --model $data/base --adapter $data/adapters/german
run 0 merge --model $data/base --adapter $data/adapters/german \
  --output $tmp/merged --safe
[ ! -s $tmp/err ] || fail "merge complains: $(cat $tmp/err)"
run 0 generate --model $tmp/merged --prompt-ids 1,7,13
cp $tmp/out $tmp/of_merged
run 0 generate --model $data/base --adapter $data/adapters/german \
  --prompt-ids 1,7,13
cmp -s $tmp/out $tmp/of_merged || fail "the merged model answers otherwise"
run 1 merge --model $data/base --adapter $data/adapters/german \
  --output $tmp/merged
complains 'FILE_EXISTS'
run 1 merge --model $data/base --adapter $data/adapters/german \
  --output $tmp/none/merged

# what an adapter's file may lack or say
# edited NAME SCRIPT: the roman adapter with its config changed by sed.
edited() {
  mkdir "$tmp/$1"
  cp $data/adapters/roman/adapter_model.bin "$tmp/$1"
  sed "$2" $data/adapters/roman/adapter_config.json \
    >"$tmp/$1/adapter_config.json"
}
edited corda 's/"init_lora_weights": true/"init_lora_weights": "corda"/'
run 1 save --model $data/base --adapter $tmp/corda --output $tmp/plain &&
  complains 'init_lora_weights'
run 0 save --model $data/base --adapter $tmp/corda --output $tmp/plain \
  --allow-unconverted-init && complains 'was loaded as a plain LoRA'
run 0 save --model $data/base --adapter $tmp/corda --output $tmp/converted \
  --allow-unconverted-init --initial-adapter $data/adapters/roman
run 0 inspect $tmp/converted && says 'LORA'
grep -q '"init_lora_weights": true' $tmp/converted/adapter_config.json ||
  fail 'the converted adapter has its old init'
run 1 save --model $data/base --adapter $data/adapters/roman \
  --output $tmp/x --initial-adapter $data/adapters/roman &&
  complains 'init_lora_weights'
edited odd 's/"lora_alpha"/"odd": 3, "lora_alpha"/'
run 1 save --model $data/base --adapter $tmp/odd --output $tmp/strict &&
  complains 'odd'
run 0 save --model $data/base --adapter $tmp/odd --output $tmp/lenient \
  --lenient && complains 'odd'

# probe
run 2 probe --model $data/base
run 0 probe --model $data/base --adapter $data/adapters/german \
  --adapter $data/adapters/french
says "$(printf 'german\tmodel.layers.0.')"
says "$(printf 'french\tall ')"
run 0 probe --model $data/base --adapter $data/adapters/german --summary
[ "$(wc -l <$tmp/out)" = 1 ] || fail "--summary prints more than a line"
run 2 probe --model $data/base --adapter $data/adapters/german --rows 0
mkdir -p $tmp/idle
sed 's/"lora_alpha": [0-9.]*/"lora_alpha": 0/' \
  $data/adapters/german/adapter_config.json >$tmp/idle/adapter_config.json
cp $data/adapters/german/adapter_model.safetensors $tmp/idle/
run 1 probe --model $data/base --adapter $tmp/idle
says 'no effect'
complains 'was loaded but does nothing'

# An adapter with layer_replication opens the model that it needs.
replicated() {
  mkdir -p $tmp/replicated
  sed "s/\"layer_replication\": null/\"layer_replication\": $1/" \
    $data/adapters/german/adapter_config.json \
    >$tmp/replicated/adapter_config.json
  cp $data/adapters/german/adapter_model.safetensors $tmp/replicated/
}
run 0 generate --model $data/base --adapter $data/adapters/german \
  --prompt-ids 1,7,13
cp $tmp/out $tmp/of_german
replicated '[[0, 2], [2, 4]]'
run 0 generate --model $data/base --adapter $tmp/replicated --prompt-ids 1,7,13
cmp -s $tmp/out $tmp/of_german || fail "layers in their own places differ"
replicated '[[0, 2], [0, 2]]'
run 0 generate --model $data/base --adapter $tmp/replicated --prompt-ids 1,7,13
cmp -s $tmp/out $tmp/of_german && fail "other layers make no difference"
run 0 inspect $tmp/replicated --model $data/base && says 'loads'
replicated '[[0, 5]]'
run 1 list --model $data/base --adapter $tmp/replicated
complains 'LAYER_REPLICATION'

# add-weighted
combine() {
  local wanted=$1 output=$2
  shift 2
  run "$wanted" add-weighted --model $data/base \
    --adapter $data/adapters/german --adapter $data/adapters/french \
    --output $tmp/$output "$@"
}
generate_with() {
  run 0 generate --model $data/base --adapter "$1" --prompt-ids 1,7,13
  cat $tmp/out
}
combine 0 sum --weight 1 --weight 0 --type cat
run 0 inspect $tmp/sum --model $data/base && says 'LORA'
[ "$(generate_with $tmp/sum)" = "$(generate_with $data/adapters/german)" ] ||
  fail "german and nothing of french is not german"
combine 1 sum --weight 1 --weight 1 && complains 'exists already'
combine 0 sum --weight 1 --weight 1 --overwrite --svd-rank 3
grep -q '"r": 3' $tmp/sum/adapter_config.json || fail "--svd-rank was ignored"
combine 2 none --weight 1 && complains '2 adapters and 1 weights'
combine 2 none --weight 1 --weight x && complains '"x"'
combine 2 none --weight 1 --weight 1 --type sum && complains 'dare_ties_svd'
combine 2 none --weight 1 --weight 1 --type ties && complains '--density'
combine 1 none --weight 1 --weight 1 --type ties --density 2
complains 'options.density'
run 1 add-weighted --model $data/base --adapter $data/adapters/roman \
  --weight 1 --output $tmp/none
complains 'cannot be combined: it was trained with biases'
run 2 add-weighted --model $data/base --output $tmp/none
[ -e $tmp/none ] && fail "a failed run left a folder"

# forward
write_ids $tmp/ids.safetensors
run 2 forward --model $data/base
run 0 forward --model $data/base --adapter $data/adapters/german \
  --ids $tmp/ids.safetensors --output $tmp/logits.safetensors
grep -aq '"logits":{"dtype":"F32","shape":\[1,6,' $tmp/logits.safetensors ||
  fail "no logits in the output"
run 0 forward --model $data/base --ids $tmp/ids.safetensors \
  --output $tmp/base.safetensors
cmp -s $tmp/base.safetensors $tmp/logits.safetensors &&
  fail "the adapter changes nothing"
run 0 forward --model $data/base --adapter $data/adapters/german --scale 0 \
  --ids $tmp/ids.safetensors --output $tmp/zero.safetensors
cmp -s $tmp/base.safetensors $tmp/zero.safetensors ||
  fail "--scale 0 is not the base"
run 1 forward --model $tmp/nothing --ids $tmp/ids.safetensors --output $tmp/x
run 1 forward --model $data/base --ids $tmp/nothing --output $tmp/x
run 1 forward --model $data/base --adapter $tmp/loha \
  --ids $tmp/ids.safetensors --output $tmp/x
[ -e $tmp/x ] && fail "a failed run left an output file"
for name in bert_bare gpt2_lm; do
  run 0 forward --model peft_cc/models/testdata/heads/$name --hidden \
    --ids $tmp/ids.safetensors --output $tmp/$name.safetensors
  grep -aq '"last_hidden_state":{"dtype":"F32","shape":\[1,6,16\]' \
    $tmp/$name.safetensors || fail "no hidden state of $name"
done
grep -aq '"pooler_output":{"dtype":"F32","shape":\[1,16\]' \
  $tmp/bert_bare.safetensors || fail "no pooler output"
grep -aq '"logits":{' $tmp/gpt2_lm.safetensors || fail "no logits of gpt2_lm"
run 1 generate --model peft_cc/models/testdata/heads/bert_bare --prompt-ids 1,7
complains 'generate needs a causal language model'

# generate: "four" + eos ids are those of vocab.json
run 2 generate --model $data/base
run 0 generate --model $data/base --prompt-ids 1,7,13
says '21 30 36 33 2'
run 0 generate --model $data/base --prompt-ids 1,7,13 --stream
says '21 30 36 33 2'
run 0 generate --model $data/base --ids $tmp/ids.safetensors \
  --max-new-tokens 2 --threads 1
says '21 30'
run 0 generate --model $data/base --prompt-ids 1,7,13 --stop 30,36
says '21 30 36'
run 1 generate --model $data/base --prompt-ids 1,99999
complains '99999'
run 2 generate --model $data/base --prompt-ids 1,x
run 2 generate --model $data/base --prompt-ids 1 --max-new-tokens 0

# A row for each: equal to a run of its own, for the base and for a set.
run 0 generate --model $data/base --adapter $data/adapters/german \
  --prompt-ids 1,7,13
german=$(cat $tmp/out)
run 1 generate --model $data/base --adapter $data/adapters/german \
  --prompt-ids 1,7,13 --row 'german*0.5+german*2'
complains 'given twice'
run 0 generate --model $data/base --adapter $data/adapters/german \
  --adapter $data/adapters/french --prompt-ids 1,7,13 \
  --row german --row __base__ --row 'french*0+german'
[ "$(sed -n 1p $tmp/out)" = "$german" ] || fail "row 1 is not german"
[ "$(sed -n 2p $tmp/out)" = '21 30 36 33 2' ] || fail "row 2 is not the base"
[ "$(sed -n 3p $tmp/out)" = "$german" ] || fail "row 3 is not german"
run 2 generate --model $data/base --prompt-ids 1 --row '*2'
run 1 generate --model $data/base --prompt-ids 1 --row x && complains '"x"'
run 0 forward --model $data/base --adapter $data/adapters/german \
  --ids $tmp/ids.safetensors --output $tmp/rows.safetensors \
  --row german --row __base__
grep -aq '"shape":\[2,6,' $tmp/rows.safetensors || fail "not two rows"

[ $failures = 0 ] || exit 1
echo "all good"
