# A policy for the phones in the Active Directory site Berlin (Sites and Services), wherever their users' accounts are.
# It counts only here, below CN=Services of the configuration: only enterprise administrators write there, by default.
# For a subnet: "dialcast-subnet:10.1.0.0/16" in place of the site. Needs the module ActiveDirectory (RSAT).

New-ADObject -Type container -Name "Dialcast" -Path "CN=Services,CN=Configuration,DC=corp,DC=example"
New-ADObject -Type serviceConnectionPoint -Name "Berlin" -Path "CN=Dialcast,CN=Services,CN=Configuration,DC=corp,DC=example" -OtherAttributes @{
    keywords = @(
        "dialcast-policy/1",
        "dialcast-site:Berlin"
    )
    serviceBindingInformation = @(
        "net.stun = 10 0 stun:ber.corp.example",
        "ntp = time.ber.corp.example"
    )
}
