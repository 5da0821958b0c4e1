# A policy in Active Directory, for everybody whose account is in or below OU=Berlin. It needs no schema change.
# Needs the module ActiveDirectory (RSAT). Each value is a line, as docs/policy.md has them.

New-ADObject -Type serviceConnectionPoint -Name "Telephony" -Path "OU=Berlin,DC=corp,DC=example" -OtherAttributes @{
    keywords = "dialcast-policy/1"
    serviceBindingInformation = @(
        "sip.registrar = 10 0 sips:reg1.corp.example",
        "sip.outbound-proxy = 10 50 sips:ber1.corp.example",
        "media.srtp ! required"
    )
}

# To change a line later, take the old one out and put the new one in:
#   Set-ADObject "CN=Telephony,OU=Berlin,DC=corp,DC=example" `
#     -Remove @{serviceBindingInformation = "media.srtp ! required"} -Add @{serviceBindingInformation = "media.srtp = required"}
