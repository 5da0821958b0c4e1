# Lets the group "Telephony Admins" make, change and delete policies and servers (serviceConnectionPoint) in and below
# OU=Berlin, and nothing else. Who may do that decides about the phones of everybody there, and about no others.
# For PowerShell or cmd, as an administrator of the OU.

dsacls "OU=Berlin,DC=corp,DC=example" /I:T /G "CORP\Telephony Admins:CCDC;serviceConnectionPoint"
dsacls "OU=Berlin,DC=corp,DC=example" /I:S /G "CORP\Telephony Admins:RPWPSDLC;;serviceConnectionPoint"
