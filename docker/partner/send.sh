#!/bin/sh
# Sends every sample message to the listener, again and again: the first round is
# new, the next ones show that a repeated message gets its first answer.
while true; do
    for file in /samples/*.hl7; do
        echo "== $file"
        timeout 30 mllp_send --loose --port "$PORT" --file "$file" "$LISTENER" || true
        sleep "$PAUSE"
    done
done
