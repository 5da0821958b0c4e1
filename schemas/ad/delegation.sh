# Lets the group "Telephony Admins" make, change and delete policies and servers (serviceConnectionPoint) in and below
# OU=Berlin, and nothing else. Who may do that decides about the phones of everybody there, and about no others.
# On a Samba domain controller, as root. 28630ec1-… is serviceConnectionPoint.

SID=$(samba-tool group show "Telephony Admins" --attributes=objectSid | sed -n 's/^objectSid: //p')
CLASS=28630ec1-41d5-11d1-a9c1-0000f80367c1
samba-tool dsacl set --objectdn="OU=Berlin,DC=corp,DC=example" \
  --sddl="(OA;CI;CCDC;$CLASS;;$SID)(OA;CIIO;RPWPSDLC;;$CLASS;$SID)"
