#!/bin/sh
# Makes testdata/*.pem again: a CA of ours and the server certificates that the
# fake Hub shows. For tests only: the keys are public. Needs OpenSSL; run it in
# this folder.
set -eu

out=testdata
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Signs the request NAME with the key of CA: NAME, CA, SECTION, END, OPTION...
sign() {
  name=$1 ca=$2 section=$3 end=$4
  shift 4
  rm -f "$work"/index*
  : > "$work/index.txt"
  openssl ca -batch -notext -config "$work/ca.cnf" -extensions "$section" \
    -keyfile "$work/$ca.key" -in "$work/$name.csr" -out "$work/$name.pem" \
    -startdate 20200101000000Z -enddate "$end" "$@"
}

# A key, and a request for it: NAME, SUBJECT.
request() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key"
  openssl req -new -key "$work/$1.key" -subj "/CN=$2" -out "$work/$1.csr"
}

# NAME, SUBJECT.
make_ca() {
  request "$1" "$2"
  sign "$1" "$1" root 21200101000000Z -selfsign
}

# A certificate and its key in one file: NAME, CA, SECTION, END.
make_server() {
  request "$1" "fake hub"
  sign "$1" "$2" "$3" "$4" -cert "$work/$2.pem"
  cat "$work/$1.pem" "$work/$1.key" > "$out/$1.pem"
}

cat > "$work/ca.cnf" <<END
[ca]
default_ca = own
[own]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[loopback]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
[elsewhere]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:elsewhere.example
END

mkdir -p "$out"
make_ca ca "test CA of the fake hub"
make_ca unknown_ca "a CA that nobody trusts"
cp "$work/ca.pem" "$out/ca.pem"
make_server server ca loopback 21200101000000Z
make_server expired ca loopback 20210101000000Z
make_server wrong_host ca elsewhere 21200101000000Z
make_server unknown_ca_server unknown_ca loopback 21200101000000Z
mv "$out/unknown_ca_server.pem" "$out/unknown_ca.pem"
