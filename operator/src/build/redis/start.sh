#!/bin/sh
# Writes the list of users from the password alone, so that the two cannot disagree, and becomes the server.
set -eu
# As a hash: in a list of users, a space would end a password.
hash=$(printf %s "$(cat /run/secrets/doacoes/redis/password)" | sha256sum)
umask 077
# The default user may do nothing but answer a probe.
{
    echo 'user default on nopass resetkeys resetchannels -@all +ping'
    echo "user api on #${hash%% *} ~* &* -@all +@read +@write +@scripting +@pubsub +@connection +time -@dangerous"
} >/run/doacoes/users.acl
exec redis-server /etc/doacoes/redis/redis.conf
