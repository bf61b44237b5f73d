"""Prints the Grafana dashboard of the API. hack/gen puts it into the chart; a test evaluates every expression with a
real Prometheus on a real API."""

import json

NAME = "doacoes API"
WIDTH = 24
# What every selector begins with. Whoever scrapes adds `instance`, and in Kubernetes `namespace`.
TARGET = 'namespace=~"$namespace", instance=~"$instance"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def series(metric, more=""):
    """A selector of the chosen instances."""
    return f"{metric}{{{TARGET}{', ' if more else ''}{more}}}"


def rate(metric, more=""):
    """Per second."""
    return f"rate({series(metric, more)}[$__rate_interval])"


def total(by, expression):
    """Of all instances."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def quantile(share, metric, by=""):
    """Of a histogram, in its own unit."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {total(labels, rate(metric + '_bucket'))})"


def steps(*pairs):
    """Colours from a value on; the first holds from the bottom."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in pairs]}


CALM = steps(("green", None))


def above(warning, critical):
    """The more, the worse."""
    return steps(("green", None), ("orange", warning), ("red", critical))


def none_is_right(color="red"):
    """Anything but nothing is wrong."""
    return steps(("green", None), (color, 1e-9))


def panel(kind, title, unit, description, expressions, width, height, thresholds, custom, options, mappings=()):
    """A panel; `expressions` are pairs of PromQL and legend."""
    defaults = {"unit": unit, "thresholds": thresholds, "color": {"mode": "palette-classic" if kind == "timeseries" else "thresholds"}}
    if unit != "percentunit" or kind == "timeseries":
        defaults["min"] = 0
    if custom:
        defaults["custom"] = custom
    if mappings:
        defaults["mappings"] = list(mappings)
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": DATASOURCE, "expr": expression, "legendFormat": legend, "range": kind == "timeseries", "instant": kind != "timeseries"}
            for number, (expression, legend) in enumerate(expressions)
        ],
        "gridPos": {"w": width, "h": height},
    }


def stat(title, unit, description, expression, thresholds, mappings=()):
    """One number."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background", "graphMode": "none", "textMode": "value", "justifyMode": "auto",
    }
    return panel("stat", title, unit, description, [(expression, title)], 3, 4, thresholds, {}, options, mappings)


def graph(title, unit, description, *expressions, thresholds=None, width=8, stacked=False):
    """Lines over time."""
    custom = {
        "lineWidth": 1,
        "fillOpacity": 20 if stacked else 5,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if thresholds else "off"},
    }
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"], "sortBy": "Max", "sortDesc": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, unit, description, expressions, width, 8, thresholds or CALM, custom, options)


REQUESTS = "doacoes_http_requests_total"
DURATIONS = "doacoes_http_request_duration_seconds"
CACHE = "doacoes_cache_requests_total"
FAILED = 'status=~"5.."'
CONFIRMED, ASKED = 'situacao="confirmada"', 'situacao="aguardando_pagamento"'
RUN_FAILED, PARKED = 'result="failed"', 'state="parked"'
OF_TOTALS, OF_OUTBOX = 'queue="totals"', 'queue=~"mail|invalidation"'
KEPT, HIT, LOOKED = 'layer=~"local|redis", ', 'result="hit"', 'result=~"hit|miss|failed"'

ROWS = {
    "Now": [
        stat(
            "Ready", "none",
            "Instances whose readiness probe answers 200. Fewer than there should be: /readyz on the admin port of the "
            "missing one gives the reason.",
            f"sum({series('doacoes_ready')})", steps(("red", None), ("green", 1)),
        ),
        stat(
            "Requests", "reqps", "Answered requests of all instances together.",
            total("", rate(REQUESTS)), CALM,
        ),
        stat(
            "Failed requests", "percentunit",
            "Share of answers with a status from 500. Look at 'Failed requests by route': 503 is a store that is away or a "
            "queue that is full, 500 is a defect with a log line that has its cause.",
            f"({total('', rate(REQUESTS, FAILED))} or vector(0)) / {total('', rate(REQUESTS))}", above(0.001, 0.01),
        ),
        stat(
            "Slowest hundredth", "s",
            "99 of 100 requests are answered sooner. If it rises with 'Wait for a connection', the database is the "
            "bottleneck; with CPU, the instances are too few.",
            quantile(0.99, DURATIONS), above(0.25, 1),
        ),
        stat(
            "Confirmed in an hour", "none",
            "Donations that became confirmada in the last hour. None in an hour that usually has some: see 'Donations by "
            "state'.",
            f"sum(increase({series('doacoes_donations_total', CONFIRMED)}[1h]))", CALM,
        ),
        stat(
            "Books", "none",
            "Rows that break a rule of the books. Anything but 0 is an incident: stop refunds, run `api admin check-books`, "
            "and find the log line 'the books do not agree' with the ids.",
            f"max({series('doacoes_consistency_findings')})", none_is_right(),
        ),
        stat(
            "Parked mail", "none",
            "E-mails that were given up after twelve tries. Their errors are in caixa_saida.ultimo_erro; once the cause is "
            "gone, set estacionada_em to NULL.",
            f"max({series('doacoes_outbox_messages', PARKED)})", none_is_right("orange"),
        ),
        stat(
            "Stores away", "none", "Stores that some instance cannot reach. 'Stores' in the row Database names them.",
            f"count(sum by (store) ({series('doacoes_degraded')}) > 0) or vector(0)", none_is_right(),
        ),
    ],
    "Traffic": [
        graph("Requests by status", "reqps", "Answers by status.", (total("status", rate(REQUESTS)), "{{status}}"), stacked=True),
        graph(
            "Failed requests by route", "reqps",
            "Answers from 500. 503 carries Retry-After and is deliberate: look at 'Turned away', 'Stores' and 'Wait for a "
            "connection'. 500 is a defect: search the log for level ERROR and the route.",
            (total("method, route, status", rate(REQUESTS, FAILED)), "{{status}} {{method}} {{route}}"),
        ),
        graph(
            "Latency", "s", "Time from a request's head to its answer's head.",
            (quantile(0.5, DURATIONS), "p50"), (quantile(0.95, DURATIONS), "p95"), (quantile(0.99, DURATIONS), "p99"),
            thresholds=above(0.25, 1),
        ),
        graph("Requests by route", "reqps", "Answers by route.", (total("method, route", rate(REQUESTS)), "{{method}} {{route}}")),
        graph(
            "Refused requests by route", "reqps",
            "Answers from 400 to 499: the client's doing. Many 401 or 404 on one route are somebody who tries; 422 after a "
            "release is a front end that fell behind.",
            (total("method, route, status", rate(REQUESTS, 'status=~"4.."')), "{{status}} {{method}} {{route}}"),
        ),
        graph(
            "Slowest hundredth by route", "s", "99 of 100 requests of the route are answered sooner.",
            (quantile(0.99, DURATIONS, "method, route"), "{{method}} {{route}}"), thresholds=above(0.25, 1),
        ),
        graph(
            "Requests in flight", "none",
            "Requests whose answer has not begun. A rise without more requests is something slow behind the API.",
            (total("instance", series("doacoes_http_requests_in_flight")), "{{instance}}"),
        ),
        graph(
            "Connections", "none",
            "Open connections of clients, of which the edge keeps some for reuse. An instance takes 8,192; further ones wait "
            "in the kernel.",
            (total("instance, listener", series("doacoes_http_connections")), "{{instance}} {{listener}}"), thresholds=above(6000, 8000),
        ),
        graph("Average latency by route", "s", "The mean, which shows who spends the time together with 'Requests by route'.",
            (f"{total('method, route', rate(DURATIONS + '_sum'))} / ({total('method, route', rate(DURATIONS + '_count'))} > 0)", "{{method}} {{route}}")),
    ],
    "Money": [
        graph(
            "Donations by state", "suffix:/min",
            "Donations that reached a state, per minute. aguardando_pagamento without confirmada: payments are not told; ask "
            "the provider. contestada or estornada: somebody has to answer the bank.",
            (f"60 * {total('situacao', rate('doacoes_donations_total'))}", "{{situacao}}"),
        ),
        graph(
            "Confirmed share", "percentunit",
            "Confirmed in the last hour by made in the last hour. People leave donations unpaid; a sudden fall is a provider "
            "or an organizadora that does not confirm.",
            (f"sum(increase({series('doacoes_donations_total', CONFIRMED)}[1h])) / (sum(increase({series('doacoes_donations_total', ASKED)}[1h])) > 0)", "confirmed"),
        ),
        graph(
            "Totals behind", "s",
            "Age of the oldest confirmation that is not in a campaign's total. Above a second, totals are older than "
            "promised: look at the task totals_rollup in 'Failed runs' and at the database.",
            (f"max by (queue) ({series('doacoes_queue_lag_seconds', OF_TOTALS)})", "{{queue}}"), thresholds=above(1, 10),
        ),
        graph(
            "Outbox behind", "s",
            "Age of the oldest entry. mail: the mail server refuses or is away, see 'Mail'. invalidation: Redis has not heard of "
            "changes; other instances may serve up to 5 s old answers until it does.",
            (f"max by (queue) ({series('doacoes_queue_lag_seconds', OF_OUTBOX)})", "{{queue}}"), thresholds=above(60, 600),
        ),
        graph(
            "Mail waiting", "none",
            "E-mails in the outbox. pending grows while the mail server is away and is sent by itself later; parked waits for "
            "a person.",
            (f"max by (state) ({series('doacoes_outbox_messages')})", "{{state}}"),
        ),
        graph(
            "Mail", "suffix:/min",
            "Attempts to deliver. failed is tried again for six hours, then parked. The log line 'a message was not "
            "delivered' has the mail server's words.",
            (f"60 * {total('result', rate('doacoes_mail_deliveries_total'))}", "{{result}}"),
        ),
        graph(
            "Books by check", "none",
            "Rows that break a rule in the last full pass. No data is no full pass since the start: look at the task books.",
            (f"max by (check) ({series('doacoes_consistency_findings')})", "{{check}}"), thresholds=none_is_right(),
        ),
        graph(
            "Since the last good run", "s",
            "By task of the background, on whichever instance ran it last. Tasks run every second or oftener, expiry and "
            "campaign_end every 5 s, purge every minute, books after a rest of 49 times what it took. Rising: the task hangs or fails, see the log.",
            (f"time() - max by (task) ({series('doacoes_background_last_success_timestamp_seconds')})", "{{task}}"), thresholds=above(120, 600),
        ),
        graph(
            "Failed runs", "suffix:/min",
            "Runs of background tasks that failed, per minute. Each has a log line 'a background task failed and comes "
            "again'. All at once: the database.",
            (f"60 * {total('task', rate('doacoes_background_runs_total', RUN_FAILED))}", "{{task}}"), thresholds=none_is_right("orange"),
        ),
    ],
    "Cache": [
        graph(
            "Hits", "percentunit",
            "Share of look-ups that a layer answered. A fall of local with redis steady is a wave of changes or restarts; of "
            "redis, an outage, an eviction (give it memory) or many new keys.",
            (f"{total('layer, entity', rate(CACHE, KEPT + HIT))} / ({total('layer, entity', rate(CACHE, KEPT + LOOKED))} > 0)", "{{layer}} {{entity}}"),
        ),
        graph("Lookups", "ops", "By layer and result.", (f"{total('layer, result', rate(CACHE))} > 0", "{{layer}} {{result}}")),
        graph(
            "Loads from the database", "ops",
            "What neither this process nor Redis had. It should be far below the requests; if not, see 'Hits'.",
            (total("entity", rate(CACHE, 'layer="postgres"')), "{{entity}}"),
        ),
        graph(
            "Fills of Redis", "ops",
            "Answers given to Redis. outdated is right where something changed during the load; failed goes with 'Redis'.",
            (total("result", rate("doacoes_cache_fills_total")), "{{result}}"),
        ),
        graph(
            "Stale answers", "ops",
            "Old answers, served because neither store could be asked. Visitors see pages of up to an hour ago: bring the "
            "database back.",
            (total("entity", rate(CACHE, 'result="stale"')), "{{entity}}"), thresholds=none_is_right("orange"),
        ),
        graph(
            "Redis", "ops",
            "Commands of requests and of background work, by result. failed: no answer in time. refused: not sent, because the "
            "breaker was open or the request had waited 50 ms already. Requests go on without Redis.",
            (total("result", rate("doacoes_redis_commands_total")), "{{result}}"),
        ),
        graph(
            "Redis breaker", "none",
            "Instances that do not ask Redis, after five failures in a row. All: Redis is away. One: its network.",
            (f"sum({series('doacoes_redis_breaker_open')})", "open"), thresholds=none_is_right("orange"),
        ),
        graph(
            "Deaf to changes", "none",
            "Instances that receive no invalidations from others. They keep answers for 1 s instead of 4 s and load more; see Redis.",
            (f"count({series('doacoes_cache_connected')}) - sum({series('doacoes_cache_connected')})", "deaf"), thresholds=none_is_right("orange"),
        ),
    ],
    "Database": [
        graph(
            "Connections of requests", "none",
            "Of all instances. In use at max, with 'Wait for a connection' rising: statements are slow (see the database), or "
            "DATABASE_POOL_SIZE is too small for the load.",
            (total("state", series("doacoes_database_connections")), "{{state}}"), (f"sum({series('doacoes_database_connections_max')})", "max"),
        ),
        graph(
            "Wait for a connection", "s", "What requests waited for a connection. More than some ms is a full pool.",
            (quantile(0.5, "doacoes_database_acquire_seconds"), "p50"), (quantile(0.99, "doacoes_database_acquire_seconds"), "p99"), thresholds=above(0.05, 0.5),
        ),
        graph(
            "Waiting", "none",
            "Requests in bounded queues: twenty per connection for the database, sixteen for password hashing. At the bound "
            "the next ones are turned away.",
            (f"sum by (queue) ({series('doacoes_queue_waiting')})", "{{queue}}"),
        ),
        graph(
            "Turned away", "reqps",
            "Requests answered 503 with Retry-After at once, because a queue was full. database: too much load or slow "
            "statements; add instances only if the database has room. passwords: a crowd logs in, or somebody tries "
            "passwords. resets: new passwords are asked for while the database does not answer. streams: more subscribers than places.",
            (total("queue", rate("doacoes_shed_total")), "{{queue}}"), thresholds=none_is_right("orange"),
        ),
        graph(
            "Stores", "none",
            "Instances that a store does not answer. postgres: kept pages are served, everything else is 503. redis: slower, "
            "nothing is lost.",
            (f"sum by (store) ({series('doacoes_degraded')})", "{{store}}"), thresholds=none_is_right(),
        ),
    ],
    "Streams": [
        graph(
            "Subscribers", "none",
            "Clients that are subscribed to a campaign's totals. An instance takes 2,000, and 50 of one address; who finds no place reads "
            "/totais now and then, and counts in 'Turned away'.",
            (total("instance", series("doacoes_streams_open")), "{{instance}}"), thresholds=above(1500, 1950),
        ),
        graph(
            "Totals sent", "ops", "Events to subscribers: at most one a second each. Subscribers without events are those of campaigns at rest.",
            (total("instance", rate("doacoes_stream_events_total")), "{{instance}}"),
        ),
        graph(
            "Campaigns followed", "none", "Campaigns that have subscribers; an instance has one task for each, however many subscribers it has.",
            (total("instance", series("doacoes_campaigns_followed")), "{{instance}}"),
        ),
    ],
    "Limits": [
        graph(
            "Refused by a limit", "reqps",
            "Uses over a limit, by rule: answered 429, but for donations that are sent again, which get their 201. login_* and "
            "code_ip: somebody tries. donation_ip: a carrier's address or a script; RATE_LIMITS changes the limit.",
            (total("rule", rate("doacoes_rate_limited_total")), "{{rule}}"),
        ),
        graph(
            "Refused by route", "reqps", "Requests answered 429, by route.",
            (total("method, route", rate(REQUESTS, 'status="429"')), "{{method}} {{route}}"),
        ),
        graph(
            "Limits held", "ops",
            "Uses held against their limits. local: Redis does not answer, and each instance counts for itself, so that clients "
            "may do as many times more as there are instances.",
            (total("store", rate("doacoes_rate_limit_checks_total")), "{{store}}"),
        ),
    ],
    "Process": [
        graph(
            "Memory", "bytes",
            "Resident memory of an instance; 64 MiB is what it should stay below. A steady rise over days is a leak: take a "
            "profile before the restart.",
            (series("process_resident_memory_bytes"), "{{instance}}"), thresholds=above(64 * 2**20, 128 * 2**20),
        ),
        graph("CPU", "cores", "Cores that an instance uses.", (rate("process_cpu_seconds_total"), "{{instance}}")),
        graph(
            "File descriptors", "percentunit",
            "Share of what the process may open. At 1 no connection is accepted: raise the limit, and look at 'Connections'.",
            (f"{series('process_open_fds')} / {series('process_max_fds')}", "{{instance}}"), thresholds=above(0.7, 0.9),
        ),
        graph("Threads", "none", "Threads of an instance.", (series("process_threads"), "{{instance}}")),
        graph("Up since", "s", "Age of the process. A saw is a process that is restarted over and over: read its last log lines.",
            (f"time() - {series('process_start_time_seconds')}", "{{instance}}")),
        graph("Releases", "none", "Instances by release. Two for longer than a roll-out takes is one that hangs.",
            (f"count by (version) ({series('doacoes_build_info')})", "{{version}}"), stacked=True),
    ],
}


def placed():
    """Rows and panels, numbered, from left to right and top to bottom."""
    panels, y = [], 0

    def put(made, x, width, height):
        panels.append({"id": len(panels) + 1, **made, "gridPos": {"x": x, "y": y, "w": width, "h": height}})

    for title, members in ROWS.items():
        put({"type": "row", "title": title, "collapsed": False, "panels": []}, 0, WIDTH, 1)
        y += 1
        x = height = 0
        for member in members:
            size = member["gridPos"]
            if x + size["w"] > WIDTH:
                x, y = 0, y + height
            height = size["h"]
            put(member, x, size["w"], height)
            x += size["w"]
        y += height
    return panels


def query_variable(name, label, query, **more):
    """A list of a label's values, several of which can be chosen."""
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE, "definition": query,
        "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]}, **more,
    }


def dashboard():
    """The whole document."""
    return {
        "uid": "doacoes-api",
        "title": NAME,
        "description": (
            "Requests, money, caches, database and processes of the doacoes API. Made by hack/dashboard.py; what "
            "is changed here by hand is lost."
        ),
        "tags": ["doacoes"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1},
                # Outside Kubernetes nobody adds the label; `.*` takes its absence as well.
                query_variable("namespace", "Namespace", "label_values(doacoes_build_info, namespace)", allValue=".*"),
                query_variable("instance", "Instance", 'label_values(doacoes_build_info{namespace=~"$namespace"}, instance)'),
            ]
        },
        "annotations": {"list": []},
        "links": [],
        "panels": placed(),
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=2, ensure_ascii=False))
