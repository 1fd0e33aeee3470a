#!/bin/sh
# Runs once, on an empty volume. The shop gets in without a password, so that a connect costs one
# round trip; nobody gets in as superuser, whose password nobody knows.
set -eu
psql --username postgres --command 'CREATE ROLE shop LOGIN CREATEDB'
rules=$(cat "$PGDATA/pg_hba.conf")
printf 'host all shop all trust\n%s\n' "$rules" >"$PGDATA/pg_hba.conf"
