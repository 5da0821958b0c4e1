# A server of the site Berlin, for `@nearest(outbound-proxy)` in policies: it serves the containers that have none nearer.
# Move it to another OU (Move-ADObject), and its users follow. Needs the module ActiveDirectory (RSAT).

New-ADObject -Type serviceConnectionPoint -Name "ber1" -Path "OU=Berlin,DC=corp,DC=example" -OtherAttributes @{
    keywords = "dialcast-server/1"
    serviceBindingInformation = @(
        "role = outbound-proxy",
        "server = 10 50 sips:ber1.corp.example"
    )
}
