"""The keywords of OpenSSH's client configuration, and which of three ways we treat each; a table.

Must not know what a value means.
"""

from __future__ import annotations

from collections.abc import Mapping

_NO_TRUST = "keys are pinned in known_hosts files; there is no trust on first use"

_USED = """
    hostname port user identityfile certificatefile pubkeyauthentication proxyjump
    userknownhostsfile globalknownhostsfile hostkeyalias
    connecttimeout serveraliveinterval serveralivecountmax ignoreunknown
"""

# How the connection is made, if not where to.
_CONNECTING = """
    addressfamily bindaddress bindinterface casignaturealgorithms cipher ciphers compression
    compressionlevel connectionattempts hostkeyalgorithms ipqos kexalgorithms macs
    proxyusefdpass rekeylimit tcpkeepalive versionaddendum
"""
# Who logs in, by what else than the one key.
_LOGGING_IN = """
    addkeystoagent batchmode challengeresponseauthentication dsaauthentication enablesshkeysign
    gssapiauthentication gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms
    gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns
    hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes identitiesonly
    identityagent kbdinteractiveauthentication kbdinteractivedevices numberofpasswordprompts
    passwordauthentication pkcs11provider preferredauthentications pubkeyacceptedalgorithms
    pubkeyacceptedkeytypes rhostsauthentication rhostsrsaauthentication rsaauthentication
    securitykeyprovider skeyauthentication smartcarddevice tisauthentication usekeychain
    useroaming usersh
"""
# Host keys: names and looks only.
_HOST_KEYS = """
    canonicaldomains canonicalizefallbacklocal canonicalizemaxdots checkhostip fingerprinthash
    globalknownhostsfile2 hashknownhosts updatehostkeys userknownhostsfile2 visualhostkey
"""
# What ssh does beside: sessions, forwarding, terminals, logs.
_BESIDE = """
    afstokenpassing channeltimeout clearallforwardings controlmaster controlpath controlpersist
    dynamicforward enableescapecommandline escapechar exitonforwardfailure fallbacktorsh
    forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted
    gatewayports keepalive kerberosauthentication kerberostgtpassing localcommand localforward
    loglevel logverbose obscurekeystroketiming permitlocalcommand permitremoteopen protocol
    remotecommand remoteforward requesttty sendenv sessiontype setenv
    stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tag tunnel tunneldevice
    useprivilegedport warnweakcrypto xauthlocation
"""

USED = frozenset(_USED.split())

REFUSED: Mapping[str, tuple[frozenset[str], str]] = {
    keyword: (frozenset(harmless.split()), hint)
    for keyword, harmless, hint in (
        ("proxycommand", "none", "use ProxyJump, or give via="),
        ("canonicalizehostname", "no false none", "write the whole name as HostName"),
        ("canonicalizepermittedcnames", "none", "write the whole name as HostName"),
        ("refuseconnection", "", "that is what it is there for"),
        ("stricthostkeychecking", "yes true ask", _NO_TRUST),
        ("nohostauthenticationforlocalhost", "no false", _NO_TRUST),
        ("verifyhostkeydns", "no false ask", _NO_TRUST),
        ("knownhostscommand", "none", _NO_TRUST),
        ("requiredrsasize", "1024 2048", "an RSA key that logs in has 2048 bits or more, always"),
        ("revokedhostkeys", "none", "write the keys as @revoked lines into known_hosts"),
    )
}
"""By keyword: the values that change nothing, and what to do instead of the others.

With these the login would go elsewhere, or be checked less or otherwise than here.
"""

UNUSED = frozenset((_CONNECTING + _LOGGING_IN + _HOST_KEYS + _BESIDE).split())
"""Without an effect here: the login goes to no other host and no other user for them."""
