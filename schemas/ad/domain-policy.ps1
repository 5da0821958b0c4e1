# A policy for the whole domain. Active Directory has no place for it directly below the domain: CN=Dialcast,CN=System
# stands for the domain, and only its administrators write there. Needs the module ActiveDirectory (RSAT).

New-ADObject -Type container -Name "Dialcast" -Path "CN=System,DC=corp,DC=example"
New-ADObject -Type serviceConnectionPoint -Name "Telephony" -Path "CN=Dialcast,CN=System,DC=corp,DC=example" -OtherAttributes @{
    keywords = "dialcast-policy/1"
    serviceBindingInformation = @(
        "sip.registrar = 10 0 sips:reg.corp.example",
        "voicemail.uri = sip:voicemail@corp.example"
    )
}
