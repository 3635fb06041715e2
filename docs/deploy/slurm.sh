#!/usr/bin/env bash
# One task of the array does one shard; OUT lies on a file system that all nodes see.
#
#     job=$(sbatch --parsable docs/deploy/slurm.sh)
#     sbatch --dependency=afterok:"$job" --array=0 --export=ALL,MERGE=1 docs/deploy/slurm.sh
#
# A task that is killed or runs out of time is submitted again as it is: shards go on where they were.
#SBATCH --job-name=triplets
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail

: "${TALKING_POINTS:=talking-points}" "${FORMAT:=pascal-part-116}" "${ROOT:?the data set}" "${OUT:?a shared folder}" "${TEACHERS:=teachers.toml}"

if [[ ${MERGE:-0} == 1 ]]; then
    part=(--merge)
else
    part=(--shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT")
fi
exec "$TALKING_POINTS" data build --format "$FORMAT" --root "$ROOT" --out "$OUT" --lenient --recipe paper \
    --teacher openai --config "$TEACHERS" --threads "${SLURM_CPUS_PER_TASK:-4}" "${part[@]}"
