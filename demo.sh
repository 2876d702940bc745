#!/usr/bin/env bash
# The original recipe, steps 1 to 6, and the modern one, on drawn photographs or a folder of your own:
#
#     ./demo.sh
#     ./demo.sh PHOTOS
#     ./demo.sh PHOTOS TEST
#     ./demo.sh --latest
#
# Without a folder TEST of unlabelled photographs, 35 % of the labelled ones are predicted, to be
# measured; with it, all of them are for training and validation, and TEST is predicted.
#
# Needs Python 3.10 to 3.13 and nothing else; makes .venv first, of the tested versions in
# requirements.lock, or with --latest of the newest that requirements.txt allows. All that it makes
# lies in demo/. Stopped half-way, the same command goes on; a second call finds its work done.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
. tools/environment.sh

requirements=(requirements.lock)
if [ "${1:-}" = --latest ]; then
    requirements=(--latest requirements.txt)
    shift
fi
case "${1:-}" in
    -*) fail "there is no option $1; ./demo.sh takes --latest and folders of photographs" ;;
esac
[ $# -le 2 ] || fail "give two folders at most: ./demo.sh PHOTOS TEST"
photos=demo/photos
name=drawn
folder_of() { (cd "$here" && cd "$1" 2>/dev/null && pwd) || fail "there is no folder $1; name one with photographs"; }
if [ $# -ge 1 ]; then
    photos=$(folder_of "$1")
    name=$(basename "$photos")
fi
if [ $# -eq 2 ]; then
    test=$(folder_of "$2")
    # Beside what the same photographs made without it.
    name=$name-$(basename "$test")
fi
data=demo/$name/data single=demo/$name/single multi=demo/$name/multi modern=demo/$name/modern
test_fraction=0
if [ $# -lt 2 ]; then
    test=demo/$name/test test_fraction=0.35
fi

say() { printf '\n== %s\n' "$*"; }
run() { printf '$ python'; printf ' %q' "$@"; printf '\n'; "$python" "$@"; }

make_environment "${requirements[@]}"

if [ $# -eq 0 ]; then
    say "Draw photographs of 12 look-alike breeds"
    run -m finegrain.drawn.collection --output "$photos" --per-class 80
fi

say "Step 1: class folders and manifest"
run img2keras.py --source "$photos" --output "$data" --valid-fraction 0.15 --test-fraction "$test_fraction"

if [ $# -lt 2 ]; then
    # What a leaderboard would hand out: the test images in one folder, without their labels.
    mkdir -p "$test"
    find "$data/test" -type f -print0 | while IFS= read -r -d '' file; do
        flat=$test/$(basename "$file")
        # Class folders may hold files of the same name.
        if [ -e "$flat" ] && ! cmp -s "$file" "$flat"; then
            flat=$test/$(basename "$(dirname "$file")")__$(basename "$file")
        fi
        cp "$file" "$flat"
    done
fi

backbone=(--backbone xception_small --weights finegrain/models/weights/xception_small.weights.h5
    --image-size 128)
original=("${backbone[@]}" --frozen-epochs 12 --unfrozen-epochs 8 --unfrozen-learning-rate 1e-3)

say "Step 2: the baseline, softmax only"
run single_model.py --data "$data" --run "$single" "${original[@]}"

say "Step 3: its submission"
run single_model_test.py --run "$single" --images "$test" --output "$single/predict.txt"

say "Step 4: the multi-loss model, stages 1 and 2"
run froze_fine_tune.py --data "$data" --run "$multi" "${original[@]}"

say "Step 5: stage 3, retrained without augmentation"
run trick_tune.py --run "$multi" --epochs 6 --learning-rate 3e-4

say "Step 6: the multi-loss submission"
run baidu_dog_test.py --run "$multi" --images "$test" --output "demo/$name/predict.txt"

say "The modern recipe: one training in place of steps 2 to 5"
run single_model.py --recipe modern --data "$data" --run "$modern" "${backbone[@]}"
run single_model_test.py --run "$modern" --images "$test" --output "$modern/predict.txt"

say "A minute's search for the best answers"
run leaderboard.py --photos "$data/train" --test "$test" --minutes 1 --output "demo/$name/answer" \
    --weights xception_small=finegrain/models/weights/xception_small.weights.h5

say "What each recipe reached"
run tools/compare.py --run "$single" "$multi" "$modern" --only-finished
printf '\nThe submission of step 6 lies in demo/%s/predict.txt:\n' "$name"
head -n 3 "demo/$name/predict.txt"
