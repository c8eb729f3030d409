#!/usr/bin/env bash
# Start workers that run one commit: bash k8s/commit/start.sh COMMIT IMAGE   (--print shows what would be applied)
# Several commits can be live at once; a job that was submitted with --commit is taken by its own workers only.
set -euo pipefail
commit="${1:?the commit that the image was built from, 40 digits}"
image="${2:?the image without its tag, such as ghcr.io/me/ganvas-worker}"
[[ "$commit" =~ ^[0-9a-f]{40}$ ]] || { echo "Not a full commit: $commit" >&2; exit 2; }
here="$(cd "$(dirname "$0")" && pwd)"
overlay="$(mktemp -d)"
trap 'rm -r "$overlay"' EXIT
cat > "$overlay/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: ganvas
nameSuffix: -${commit:0:12}
resources: [workers.yaml]
commonAnnotations: {ganvas.dev/commit: "$commit"}
images: [{name: ganvas-worker, newName: "$image", newTag: "$commit"}]
YAML
cp "$here/workers.yaml" "$overlay/"
if [[ "${3:-}" == --print ]]; then kubectl kustomize "$overlay"; else kubectl apply --kustomize "$overlay"; fi
