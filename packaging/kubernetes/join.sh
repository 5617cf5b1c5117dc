#!/bin/sh
# Has each GPU node of ark.yaml let the gateway in: an invitation that works once goes from the one to the other. What is
# let in already stays as it is, so it may be run again after more GPU nodes were added.
set -eu

namespace=${1-ark}

in_pod() {
  pod=$1
  shift
  kubectl --namespace "$namespace" exec "$pod" -- ark-node "$@"
}

known=$(in_pod ark-gateway-0 peers list)
for pod in $(kubectl --namespace "$namespace" get pods --selector app=ark-gpu --output 'jsonpath={.items[*].metadata.name}'); do
  case $known in
  *"$pod "*) continue ;;
  esac
  link=$(in_pod "$pod" invite --preset ask --models '*' --lasts never --expires 30m --at "$pod.ark-gpu:8911" --no-qr)
  in_pod ark-gateway-0 peers accept "$link"
done
