//! Lists the kinds of secrets: how errors and `docs/secrets.md` name them, and the signs that each is known by.

/// A kind of secret, as errors and `docs/secrets.md` name it.
#[derive(Debug)]
pub struct Kind {
    /// A few words: `a private key in PEM`.
    pub name: &'static str,
    /// How it is known, for `docs/secrets.md`.
    pub known_by: &'static str,
    pub(super) signs: &'static [Sign],
}

#[derive(Debug)]
pub(super) enum Sign {
    /// A directory of one of these names.
    Dir(&'static [&'static str]),
    /// A file whose path fits one of these globs.
    Named(&'static [&'static str]),
    /// The same, if its content fits too.
    NamedWith(&'static [&'static str], &'static str),
    /// The content of any file that is looked into fits one of these.
    Content(&'static [&'static str]),
}

use Sign::{Content, Dir, Named, NamedWith};

/// Every kind; where several fit, the first is told.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "the history of a version control system",
        known_by: "a directory `.git`, `.svn`, `.hg`, `.bzr` or `CVS`",
        signs: &[Dir(&[".git", ".svn", ".hg", ".bzr", "CVS"])],
    },
    Kind {
        name: "a person's SSH or GnuPG directory",
        known_by: "a directory `.ssh` or `.gnupg`",
        signs: &[Dir(&[".ssh", ".gnupg"])],
    },
    Kind {
        name: "an environment file",
        known_by: "`.env`, `.env.*` (not `.env.example`, `.sample`, `.template`, `.dist`), `.envrc`; `prod.env`, `production.env`, `staging.env`, `secret.env`, `secrets.env`, also as `app.prod.env`",
        signs: &[Named(&[
            "**/.env",
            "**/.env.*",
            "**/.envrc",
            "**/{,*[._-]}prod.env",
            "**/{,*[._-]}production.env",
            "**/{,*[._-]}staging.env",
            "**/{,*[._-]}secret.env",
            "**/{,*[._-]}secrets.env",
        ])],
    },
    Kind {
        name: "Google credentials",
        known_by: "`\"type\": \"service_account\"`; `application_default_credentials.json`; `.config/gcloud/credentials.db`, `access_tokens.db`; `AIza…`, `GOCSPX-…`",
        signs: &[
            Named(&[
                "**/application_default_credentials.json",
                "**/.config/gcloud/credentials.db",
                "**/.config/gcloud/access_tokens.db",
            ]),
            Content(&[
                r#""type"\s*:\s*"service_account""#,
                r"\bAIza[A-Za-z0-9_-]{35}(?:[^A-Za-z0-9_-]|\z)",
                r"\bGOCSPX-[A-Za-z0-9_-]{28}",
            ]),
        ],
    },
    Kind {
        name: "an OpenSSH private key",
        known_by: "`BEGIN OPENSSH PRIVATE KEY`; `id_rsa`, `id_dsa`, `id_ecdsa`, `id_ed25519`",
        signs: &[
            Named(&[
                "**/id_rsa",
                "**/id_dsa",
                "**/id_ecdsa",
                "**/id_ed25519",
                "**/id_ed25519_sk",
                "**/id_ecdsa_sk",
            ]),
            Content(&[r"-----BEGIN OPENSSH PRIVATE KEY-----(?:\s|\\n|\\r)+[A-Za-z0-9+/=]{16}"]),
        ],
    },
    Kind {
        name: "a private key in PEM",
        known_by: "`BEGIN PRIVATE KEY` (PKCS#8), `BEGIN ENCRYPTED PRIVATE KEY`, `BEGIN RSA`, `EC` or `DSA PRIVATE KEY`",
        signs: &[Content(&[
            r"-----BEGIN (?:(?:RSA|EC|DSA|ENCRYPTED) )?PRIVATE KEY-----(?:\s|\\n|\\r)+(?:[A-Za-z0-9+/=]{16}|Proc-Type:)",
        ])],
    },
    Kind {
        name: "a PuTTY private key",
        known_by: "`PuTTY-User-Key-File-` at its start",
        signs: &[Content(&[r"\A\s*PuTTY-User-Key-File-[123]:"])],
    },
    Kind {
        name: "an OpenPGP private key",
        known_by: "`BEGIN PGP PRIVATE KEY BLOCK`",
        signs: &[Content(&[r"-----BEGIN PGP PRIVATE KEY BLOCK-----\r?\n"])],
    },
    Kind {
        name: "an age or WireGuard private key",
        known_by: "`AGE-SECRET-KEY-1…`; `PrivateKey = ` with 32 bytes in Base64",
        signs: &[Content(&[
            r"\bAGE-SECRET-KEY-1[A-Z0-9]{50}",
            r"(?m)^\s*PrivateKey\s*=\s*[A-Za-z0-9+/]{43}=",
        ])],
    },
    Kind {
        name: "a key store",
        known_by: "`*.p12`, `*.pfx`, `*.jks`, `*.keystore`, `*.kdbx` (not `*trust*`)",
        signs: &[Named(&[
            "**/*.p12",
            "**/*.pfx",
            "**/*.jks",
            "**/*.keystore",
            "**/*.kdbx",
        ])],
    },
    Kind {
        name: "a private JSON web key",
        known_by: "`\"kty\"` with a private `\"d\"`",
        signs: &[Content(&[
            r#""d"\s*:\s*"[A-Za-z0-9_-]{20,}"[^{}]*"kty"\s*:"#,
            r#""kty"\s*:[^{}]*"d"\s*:\s*"[A-Za-z0-9_-]{20,}""#,
        ])],
    },
    Kind {
        name: "Git's stored passwords",
        known_by: "`.git-credentials`",
        signs: &[Named(&["**/.git-credentials"])],
    },
    Kind {
        name: "a token or password of npm, Yarn or pnpm",
        known_by: "`.npmrc`, `.yarnrc` with `_authToken`, `_auth` or `_password`; `.yarnrc.yml` with `npmAuthToken` (not `${…}`); `npm_…`",
        signs: &[
            NamedWith(
                &["**/.npmrc", "**/npmrc", "**/.yarnrc"],
                r#"(?m)(?:_authToken|_auth|_password)["']?\s*[=\s]\s*["']?[^\s"'$]"#,
            ),
            NamedWith(&["**/.yarnrc.yml"], r#"(?m)npmAuth(?:Token|Ident)\s*:\s*["']?[^\s"'$]"#),
            Content(&[r"\bnpm_[A-Za-z0-9]{36}\b"]),
        ],
    },
    Kind {
        name: "a token or password of pip or PyPI",
        known_by: "`pip.conf`, `pip.ini`, `uv.toml`, `requirements*.txt` with `user:password@` or `https://token@`; `.pypirc` with a password; `pypi-AgEIcHlwaS5vcmc…`",
        signs: &[
            NamedWith(
                &["**/pip.conf", "**/pip.ini", "**/uv.toml", "**/requirements*.txt"],
                // A user alone may be the name by which a keyring finds the password; a token is longer, or has digits.
                r"://[^/\s:@$]*:[^/\s@$]+@|https?://(?:[^/\s:@$]{20,}|(?:[^/\s:@$]*[0-9]){3}[^/\s:@$]*)@",
            ),
            NamedWith(&["**/.pypirc"], r"(?m)^\s*password\s*[:=]\s*\S"),
            Content(&[r"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20}"]),
        ],
    },
    Kind {
        name: "a token of Cargo, RubyGems or Composer",
        known_by: "`.cargo/credentials`, `.gem/credentials`; Composer's `auth.json`",
        signs: &[
            Named(&[
                "**/.cargo/credentials",
                "**/.cargo/credentials.toml",
                "**/.gem/credentials",
            ]),
            NamedWith(
                &["**/auth.json"],
                r#""(?:http-basic|github-oauth|gitlab-token|bearer)"\s*:\s*\{\s*""#,
            ),
        ],
    },
    Kind {
        name: "passwords of Maven or Gradle",
        known_by: "`settings.xml` with `<password>`; `gradle.properties` with a password (not `${…}`)",
        signs: &[
            NamedWith(
                &["**/settings.xml", "**/settings-security.xml"],
                r"<(?:password|passphrase|master)>\s*[^<$\s]",
            ),
            NamedWith(
                &["**/gradle.properties"],
                r"(?mi)^\s*[\w.]*(?:password|token)\s*[:=]\s*[^\s$]",
            ),
        ],
    },
    Kind {
        name: "passwords of a person's programs",
        known_by: "`.netrc`, `_netrc`, `.pgpass`, `.my.cnf`, `.mylogin.cnf`, `.htpasswd`, `.s3cfg`, `.boto`",
        signs: &[Named(&[
            "**/.netrc",
            "**/_netrc",
            "**/.pgpass",
            "**/.my.cnf",
            "**/.mylogin.cnf",
            "**/.htpasswd",
            "**/.s3cfg",
            "**/.boto",
        ])],
    },
    Kind {
        name: "a shell's or database's history",
        known_by: "`.bash_history`, `.zsh_history`, `.python_history`, `.psql_history`, `.mysql_history`",
        signs: &[Named(&[
            "**/.bash_history",
            "**/.zsh_history",
            "**/.python_history",
            "**/.psql_history",
            "**/.mysql_history",
        ])],
    },
    Kind {
        name: "AWS credentials",
        known_by: "`.aws/credentials`; `aws_secret_access_key` with a value; `AKIA…`",
        signs: &[
            Named(&["**/.aws/credentials"]),
            Content(&[
                r#"(?i:aws_?secret_?access_?key)["']?\s*[:=]\s*["']?[A-Za-z0-9/+]{40}(?:[^A-Za-z0-9/+]|\z)"#,
                r"\bAKIA[A-Z2-7]{16}\b",
            ]),
        ],
    },
    Kind {
        name: "Azure credentials",
        known_by: "`.azure/` tokens; `AccountKey=…==`; `SharedAccessKey=…`",
        signs: &[
            Named(&[
                "**/.azure/accessTokens.json",
                "**/.azure/msal_token_cache.*",
                "**/.azure/service_principal_entries.*",
            ]),
            Content(&[
                r"\bAccountKey=[A-Za-z0-9+/]{86}==",
                r"\bSharedAccessKey=[A-Za-z0-9+/]{43}=",
            ]),
        ],
    },
    Kind {
        name: "a login of a container registry",
        known_by: "`.dockercfg`, `.dockerconfigjson`; `\"auths\"` with an `\"auth\"`; `dckr_pat_…`",
        signs: &[
            Named(&["**/.dockercfg", "**/.dockerconfigjson"]),
            Content(&[
                r#""auths"\s*:\s*\{[^}]*"auth"\s*:\s*"[A-Za-z0-9+/=]{8}"#,
                r"\bdckr_pat_[A-Za-z0-9_-]{27}",
            ]),
        ],
    },
    Kind {
        name: "a kubeconfig with credentials",
        known_by: "`.kube/config`; `client-key-data:`; `kind: Config` with a `token:`",
        signs: &[
            Named(&["**/.kube/config", "**/kubeconfig"]),
            Content(&[
                r"\bclient-key-data:\s*[A-Za-z0-9+/=]{16}",
                r"(?s)\bkind:\s*Config\b.*\n\s+token:\s*[A-Za-z0-9._-]{16}",
            ]),
        ],
    },
    Kind {
        name: "Terraform's state or credentials",
        known_by: "`*.tfstate`, `*.tfstate.backup`, `.terraformrc`, `credentials.tfrc.json`",
        signs: &[Named(&[
            "**/*.tfstate",
            "**/*.tfstate.backup",
            "**/*.tfstate.*.backup",
            "**/.terraformrc",
            "**/credentials.tfrc.json",
        ])],
    },
    Kind {
        name: "a vault's password or token",
        known_by: "`.vault-token`, `.vault_pass*`, Rails' `config/master.key` and `config/credentials/*.key`; `hvs.…`",
        signs: &[
            Named(&[
                "**/.vault-token",
                "**/.vault_pass*",
                "**/.vault-password*",
                "**/config/master.key",
                "**/config/credentials/*.key",
            ]),
            Content(&[r"\bhvs\.[A-Za-z0-9_-]{24}"]),
        ],
    },
    Kind {
        name: "a GitHub token",
        known_by: "`ghp_…`, `gho_…`, `ghu_…`, `ghs_…`, `ghr_…`, `github_pat_…`",
        signs: &[Content(&[
            r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
            r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b",
        ])],
    },
    Kind {
        name: "a GitLab token",
        known_by: "`glpat-…`, `gldt-…`, `glrt-…`, `glcbt-…`",
        signs: &[Content(&[r"\bgl(?:pat|dt|rt|cbt)-[A-Za-z0-9_.-]{20}"])],
    },
    Kind {
        name: "a Slack token or webhook",
        known_by: "`xoxb-…`, `xoxp-…`, `xapp-…`; `hooks.slack.com/services/T…`",
        signs: &[Content(&[
            r"\bxox[abeprs]-[0-9]+-[A-Za-z0-9-]{10}",
            r"\bxapp-[0-9]-[A-Z0-9]+-[0-9]+-",
            r"hooks\.slack\.com/services/T[A-Z0-9]{7,}/B[A-Z0-9]{7,}/[A-Za-z0-9]{20}",
        ])],
    },
    Kind {
        name: "a Stripe key",
        known_by: "`sk_live_…`, `rk_live_…`, `whsec_…`",
        signs: &[Content(&[
            r"\b[sr]k_live_[A-Za-z0-9]{20}",
            r"\bwhsec_[A-Za-z0-9+/]{32}",
        ])],
    },
    Kind {
        name: "a key of a mail service",
        known_by: "SendGrid's `SG.….…`, Mailgun's `key-…` as `api_key`, Mailchimp's `…-us1`",
        signs: &[Content(&[
            r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b",
            r#"(?i:api_?key)["']?\s*[:=]\s*["']?key-[0-9a-f]{32}\b"#,
            r#"(?i:api_?key)["']?\s*[:=]\s*["']?[0-9a-f]{32}-us[0-9]{1,2}\b"#,
        ])],
    },
    Kind {
        name: "a key of an AI service",
        known_by: "`sk-ant-…`, `sk-proj-…`, `sk-…T3BlbkFJ…`, `hf_…`",
        signs: &[Content(&[
            r"\bsk-ant-[A-Za-z0-9_-]{24}",
            r"\bsk-proj-[A-Za-z0-9_-]{24}",
            r"\bsk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
            r"\bhf_[A-Za-z]{34}\b",
        ])],
    },
    Kind {
        name: "a token of a hosting provider",
        known_by: "DigitalOcean's `dop_v1_…`, Fly's `FlyV1 fm…`, Shopify's `shpat_…`, Linear's `lin_api_…`",
        signs: &[Content(&[
            r"\bdop_v1_[0-9a-f]{64}\b",
            r"\bFlyV1 fm[0-9]+_[A-Za-z0-9+/=]{20}",
            r"\bshp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}\b",
            r"\blin_api_[A-Za-z0-9]{40}\b",
        ])],
    },
];
