//! What a package puts outside of its release follows the release that serves: forward, back after a failure, and away.

use crate::support::{App, Behaviour, Host, Suite};

/// What does not depend on the suite.
mod once {
    use crate::support::Suite;

    #[test]
    fn links_follow_the_release() {
        super::links_follow_the_release(Suite::Bookworm);
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
