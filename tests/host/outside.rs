//! What a package puts outside of its release follows the release that serves: forward, back after a failure, and away.

use crate::support::{App, Behaviour, Host, Suite};

/// What does not depend on the suite.
mod once {
    use crate::support::Suite;

    #[test]
    fn links_follow_the_release() {
        super::links_follow_the_release(Suite::Bookworm);
    }

    #[test]
    fn what_is_shared_outlives_releases() {
        super::what_is_shared_outlives_releases(Suite::Trixie);
    }
}

fn app(version: &str, links: &[(&str, &str)]) -> App {
    let tell = "#!/bin/sh\ncat /opt/acme/current/body\n";
    let app = App::new(version)
        .settle("0s")
        .file("bin/tell", tell)
        .file("bin/say", tell);
    links.iter().fold(app, |app, (name, program)| {
        app.extra(&format!(
            "[files.\"/usr/bin/{name}\"]\nlink = \"current/bin/{program}\""
        ))
    })
}

fn links_follow_the_release(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let links = || {
        m.ok("cd /usr/bin && find . -name 'acme-[a-q]*' -printf '%f %l\\n' | sort")
            .text()
            .to_owned()
    };
    host.deploy(&app("1.0", &[("acme-ask", "tell"), ("acme-old", "tell")]));
    assert_eq!(m.ok("acme-ask").text(), "1.0");
    m.ok("dpkg -S /usr/bin/acme-ask /usr/bin/acme-old")
        .expect_says("acme: /usr/bin/acme-old");

    // One is gone, and one somebody else's: the first is a mistake, the second may be meant.
    let there = m.ok("acme-release status && acme-release verify && rm /usr/bin/acme-old");
    there.expect_says("all as in its manifest");
    m.sh("acme-release status")
        .expect_failure()
        .expect_says("  the link /usr/bin/acme-old is missing (hint: apt-get install --reinstall acme=1.0)");
    m.ok("ln -sf /usr/bin/true /usr/bin/acme-ask");
    m.sh("acme-release verify")
        .expect_failure()
        .expect_says("relpack: the link /usr/bin/acme-old is missing\n")
        .expect_says("relpack: /usr/bin/acme-ask is not the link to /opt/acme/current/bin/tell\n")
        .expect_says("(hint: apt-get install --reinstall acme=1.0 makes a link that is missing; ");
    m.ok("apt-get install -y -q --reinstall acme=1.0 && acme-release status && acme-release verify");
    assert_eq!(m.ok("acme-ask && acme-old").text(), "1.01.0");

    host.deploy(&app("2.0", &[("acme-ask", "say"), ("acme-more", "tell")]));
    let two = "acme-ask /opt/acme/current/bin/say\nacme-more /opt/acme/current/bin/tell";
    assert_eq!(links(), two);
    assert_eq!(m.ok("acme-ask && acme-more").text(), "2.02.0");

    // One without any link fails: those of the release that serves are there again, and dpkg's soon.
    host.publish(&[app("3.0", &[]).behaviour(Behaviour::ExitAtOnce)]);
    host.install("3.0").expect_failure();
    host.serves("2.0");
    assert_eq!(links(), two);
    host.expect_healed("2.0");
    m.ok("dpkg -S /usr/bin/acme-ask /usr/bin/acme-more");
    assert_eq!(links(), two);

    m.ok("acme-release rollback");
    let one = "acme-ask /opt/acme/current/bin/tell\nacme-old /opt/acme/current/bin/tell";
    assert_eq!(links(), one);
    assert_eq!(m.ok("acme-old").text(), "1.0");
    host.expect_dpkg("1.0");
    assert_eq!(links(), one);

    // Another package's file is not overwritten: dpkg refuses before anything changes.
    m.ok("mkdir -p /root/other/DEBIAN /root/other/usr/bin && echo x >/root/other/usr/bin/acme-more && \
          printf 'Package: other\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@b.example>\\nDescription: x\\n' >/root/other/DEBIAN/control && \
          dpkg-deb -b /root/other /root/other.deb && dpkg -i /root/other.deb");
    m.sh("apt-get install -y -q acme=2.0")
        .expect_failure()
        .expect_says("trying to overwrite '/usr/bin/acme-more'");
    host.serves("1.0");
    assert_eq!(m.ok("cat /usr/bin/acme-more").text(), "x");
    m.ok("dpkg -r other");
    m.ok("apt-get remove -y -q acme");
    assert_eq!(links(), "");
}

/// `[shared] links`, taken up and given up by a later release.
fn what_is_shared_outlives_releases(suite: Suite) {
    let host = Host::boot(suite);
    let m = &host.m;
    let shared = |version: &str| {
        App::new(version)
            .settle("0s")
            .service_line("Service.ProtectSystem = \"strict\"")
            .extra("[shared]\nlinks = { \"public/uploads\" = \"uploads\", \"log\" = \"var/log\" }")
    };
    // Here it is a directory of the release, with something in it.
    let directory = |version: &str| {
        App::new(version)
            .settle("0s")
            .file("public/uploads/old", "of the release\n")
    };
    host.deploy(&directory("1.0"));
    m.ok("grep -x 'of the release' /opt/acme/current/public/uploads/old");
    let two = host.deploy(&shared("2.0"));
    host.all_well(&two, "2.0");
    let made = m.ok("stat -c '%n %a %U:%G' /opt/acme/shared/uploads /opt/acme/shared/var /opt/acme/shared/var/log");
    assert_eq!(
        made.text(),
        "/opt/acme/shared/uploads 750 acme:acme\n/opt/acme/shared/var 755 root:root\n/opt/acme/shared/var/log 750 acme:acme"
    );
    // As the service: its release is read-only, and what is shared isn't.
    m.ok("acme-release exec -- /bin/sh -c 'echo mine >public/uploads/new && echo line >log/x && ! touch body'");
    let three = host.deploy(&shared("3.0"));
    host.all_well(&three, "3.0");
    let seen = "acme-release exec -- /bin/cat /opt/acme/app/public/uploads/new /opt/acme/app/log/x";
    assert_eq!(m.ok(seen).text(), "mine\nline");
    // A release that fails, one that has a directory there again, and back.
    host.publish(&[shared("4.0").behaviour(Behaviour::ExitAtOnce)]);
    host.install("4.0").expect_failure();
    host.serves("3.0");
    assert_eq!(m.ok(seen).text(), "mine\nline");
    host.expect_healed("3.0");
    let five = host.deploy(&directory("5.0"));
    host.all_well(&five, "5.0");
    m.ok("grep -x 'of the release' /opt/acme/current/public/uploads/old && [ ! -e /opt/acme/current/log ]");
    m.ok("acme-release rollback");
    assert_eq!(m.ok(seen).text(), "mine\nline");
    host.expect_dpkg("3.0");
    m.ok("apt-get purge -y -q acme && grep -x mine /opt/acme/shared/uploads/new && [ ! -e /opt/acme/releases ]");
}
