#!/usr/bin/env python3
"""A phone made of liblinphone: subscribes to a user's profile and tells what comes, one JSON object a line.

usage: linphone.py SERVER-IP:PORT udp|tcp AOR [USER PASSWORD MD5|SHA-256]

It speaks for itself: whatever of RFC 6665 is obeyed here is Belledonne's code, reached by ctypes. When standard input
ends, it unsubscribes, waits for the subscription's end, and exits.
"""
import ctypes
import json
import os
import select
import sys
import tempfile
import time

lib = ctypes.CDLL("liblinphone.so.10")
pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int


def function(name, result, *arguments):
    found = getattr(lib, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


factory_get = function("linphone_factory_get", pointer)
create_core = function("linphone_factory_create_core_3", pointer, pointer, text, text, pointer)
create_callbacks = function("linphone_factory_create_core_cbs", pointer, pointer)
on_notify = function("linphone_core_cbs_set_notify_received", None, pointer, pointer)
on_state = function("linphone_core_cbs_set_subscription_state_changed", None, pointer, pointer)
add_callbacks = function("linphone_core_add_callbacks", None, pointer, pointer)
set_network_reachable = function("linphone_core_set_network_reachable", None, pointer, integer)
enable_ipv6 = function("linphone_core_enable_ipv6", None, pointer, integer)
create_transports = function("linphone_factory_create_transports", pointer, pointer)
set_udp_port = function("linphone_transports_set_udp_port", None, pointer, integer)
set_tcp_port = function("linphone_transports_set_tcp_port", None, pointer, integer)
set_tls_port = function("linphone_transports_set_tls_port", None, pointer, integer)
set_transports = function("linphone_core_set_transports", integer, pointer, pointer)
start = function("linphone_core_start", integer, pointer)
iterate = function("linphone_core_iterate", None, pointer)
create_address = function("linphone_factory_create_address", pointer, pointer, text)
create_account_params = function("linphone_core_create_account_params", pointer, pointer)
set_identity = function("linphone_account_params_set_identity_address", integer, pointer, pointer)
set_server = function("linphone_account_params_set_server_addr", integer, pointer, text)
set_outbound_proxy = function("linphone_account_params_set_outbound_proxy_enabled", None, pointer, integer)
set_register = function("linphone_account_params_set_register_enabled", None, pointer, integer)
create_account = function("linphone_core_create_account", pointer, pointer, pointer)
add_account = function("linphone_core_add_account", integer, pointer, pointer)
set_default_account = function("linphone_core_set_default_account", None, pointer, pointer)
create_auth_info = function("linphone_auth_info_new_for_algorithm", pointer, text, text, text, text, text, text, text)
add_auth_info = function("linphone_core_add_auth_info", None, pointer, pointer)
create_subscribe = function("linphone_core_create_subscribe", pointer, pointer, pointer, text, integer)
add_custom_header = function("linphone_event_add_custom_header", None, pointer, text, text)
send_subscribe = function("linphone_event_send_subscribe", integer, pointer, pointer)
terminate = function("linphone_event_terminate", None, pointer)
event_reason = function("linphone_event_get_reason", integer, pointer)
content_type = function("linphone_content_get_type", text, pointer)
content_subtype = function("linphone_content_get_subtype", text, pointer)
content_text = function("linphone_content_get_utf8_text", text, pointer)
version = function("linphone_core_get_version", text)

# Our lines go to what was standard output; liblinphone's own, to standard error.
OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
STATES = ["none", "outgoing", "incoming", "pending", "active", "terminated", "error", "expiring"]
ended = False


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), file=OUT, flush=True)


@ctypes.CFUNCTYPE(None, pointer, pointer, text, pointer)
def notified(_core, _event, name, body):
    fields = {"package": name.decode()}
    if body:
        fields["type"] = content_type(body).decode() + "/" + content_subtype(body).decode()
        fields["body"] = (content_text(body) or b"").decode()
    tell("notify", **fields)


@ctypes.CFUNCTYPE(None, pointer, pointer, integer)
def changed(_core, event, state):
    global ended
    ended = STATES[state] in ("terminated", "error")
    tell("state", state=STATES[state], reason=event_reason(event))


def main():
    server, transport, aor = sys.argv[1:4]
    home = tempfile.TemporaryDirectory()
    os.environ["HOME"] = home.name
    os.makedirs(os.path.join(home.name, ".local/share/linphone"))
    config = os.path.join(home.name, "linphonerc")
    with open(config, "w", encoding="ascii") as file:
        # Everything stays on the loopback; the sound card is nobody's business here.
        file.write("[sip]\nbind_address=127.0.0.1\nauto_net_state_mon=0\n[sound]\nplayback_dev_id=\n[video]\nenabled=0\n")
    factory = factory_get()
    core = create_core(factory, config.encode(), None, None)
    callbacks = create_callbacks(factory)
    on_notify(callbacks, ctypes.cast(notified, pointer))
    on_state(callbacks, ctypes.cast(changed, pointer))
    add_callbacks(core, callbacks)
    enable_ipv6(core, 0)
    transports = create_transports(factory)
    set_udp_port(transports, -1 if transport == "udp" else 0)
    set_tcp_port(transports, -1 if transport == "tcp" else 0)
    set_tls_port(transports, 0)
    set_transports(core, transports)
    start(core)
    set_network_reachable(core, 1)

    params = create_account_params(core)
    set_identity(params, create_address(factory, aor.encode()))
    set_server(params, f"<sip:{server};transport={transport};lr>".encode())
    set_outbound_proxy(params, 1)
    set_register(params, 0)
    account = create_account(core, params)
    add_account(core, account)
    set_default_account(core, account)
    if len(sys.argv) > 6:
        user, password, algorithm = (word.encode() for word in sys.argv[4:7])
        add_auth_info(core, create_auth_info(user, user, password, None, None, None, algorithm))

    tell("start", version=version().decode())
    event = create_subscribe(core, create_address(factory, aor.encode()), b"ua-profile", 600)
    add_custom_header(event, b"Accept", b"application/vnd.dialcast.profile+xml")
    send_subscribe(event, None)
    leaving = None
    while not ended and (leaving is None or time.monotonic() < leaving):
        iterate(core)
        if leaving is None and select.select([sys.stdin], [], [], 0.01)[0] and not sys.stdin.readline():
            terminate(event)
            # Limit on the wait for the last NOTIFY: longer than any retransmission that matters.
            leaving = time.monotonic() + 8
        elif leaving is not None:
            time.sleep(0.01)
    # The last NOTIFY may come after the answer to the unsubscription: it is answered too.
    parting = time.monotonic() + 0.3
    while time.monotonic() < parting:
        iterate(core)
        time.sleep(0.01)
    tell("end", ended=ended)
    # liblinphone's teardown waits for its audio threads, and has nothing more to say.
    home.cleanup()
    os._exit(0 if ended else 1)


main()
