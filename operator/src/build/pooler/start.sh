#!/bin/sh
# Writes the list of users from the password alone, so that the two cannot disagree, and becomes the pooler.
set -eu
password=$(cat /run/secrets/doacoes/database/app-password)
# In the list a quotation mark is written twice.
quoted=
while [ "${password#*\"}" != "$password" ]; do
    quoted=$quoted${password%%\"*}'""'
    password=${password#*\"}
done
umask 077
printf '"app" "%s"\n' "$quoted$password" >/run/doacoes/userlist.txt
ulimit -n @DESCRIPTORS@
exec pgbouncer /etc/doacoes/pooler/pgbouncer.ini
