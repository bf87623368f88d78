using UPool.MySql;

namespace UPool.Tests.MySql;

/// <summary>The differences between the server families.</summary>
public sealed class DatabaseFamilyTests
{
    [Theory]
    [InlineData("10.11.19-MariaDB-0+deb12u1", "MariaDbFamily", true)]
    [InlineData("5.5.5-10.11.19-MariaDB-0+deb12u1", "MariaDbFamily", true)]
    [InlineData("5.5.5-10.6.22-MariaDB", "MariaDbFamily", false)]
    [InlineData("11.8.9-MariaDB-ubu2404-log", "MariaDbFamily", true)]
    [InlineData("11.4.2-MariaDB", "MariaDbFamily", false)]
    [InlineData("9.7.4-2", "MySqlFamily", true)]
    [InlineData("8.4.3", "MySqlFamily", false)]
    [InlineData("8.0.36-28.1", "MySqlFamily", false)]
    [InlineData("8.0.11-TiDB-v7.5.0", "MySqlFamily", false)]
    [InlineData("5.7.44", "MySqlFamily", false)]
    [InlineData("", "MySqlFamily", false)]
    public void Of_AnyVersion_IsItsFamilyAndSaysWhetherItWasTested(string version, string family, bool wasTested)
    {
        DatabaseFamily found = DatabaseFamily.Of(version);
        Assert.Equal((family, wasTested), (found.GetType().Name, found.WasTested));
    }

    [Fact]
    public void IsGone_MySqlStillListsTheSession_OnlyOnceItDoesNot()
    {
        DatabaseFamily mysql = DatabaseFamily.Of("9.7.4");
        Assert.False(mysql.IsGone(wasListed: true));
        Assert.True(mysql.IsGone(wasListed: false));
        Assert.Equal("performance_schema.processlist", mysql.ProcessList);
        Assert.Null(mysql.Blindness);
    }

    [Fact]
    public void IsGone_MariaDb_AsSoonAsTheKillSaysSo()
    {
        DatabaseFamily mariaDb = DatabaseFamily.Of("10.11.19-MariaDB");
        Assert.True(mariaDb.IsGone(wasListed: true));
        Assert.Null(mariaDb.Blindness);
        Assert.Same(mariaDb, mariaDb.WithoutProcessList());
    }

    [Theory]
    [InlineData("5.7.44")]
    [InlineData("8.0.21")]
    [InlineData("9.7.4")]
    public void Blindness_NoProcessListInPerformanceSchema_IsSaidWithTheCure(string version)
    {
        DatabaseFamily blind = DatabaseFamily.Of(version).WithoutProcessList();
        Assert.Equal("information_schema.PROCESSLIST", blind.ProcessList);
        Assert.True(blind.IsGone(wasListed: true));
        Assert.Contains("Start the server with performance_schema=ON.", blind.Blindness, StringComparison.Ordinal);
    }

    [Fact]
    public void Note_VersionNeverRun_IsSaidOnce()
    {
        var log = new RecordingLog();
        var server = new KnownServer("MySQL at here", TimeProvider.System, log);
        for (int i = 0; i < 3; i++) server.Note(server.BeginOpen(), FactsOf("8.4.3"));
        Assert.Equal(
            "Warning 1111 MySQL at here is MySQL 8.4.3, a version that uPool was not tested on. Tested versions: "
            + "MySQL 9.7, MariaDB 10.11 and MariaDB 11.8.", log.ToString().TrimEnd());
    }

    [Theory]
    [InlineData("9.7.4-2")]
    [InlineData("11.8.9-MariaDB")]
    public void Note_VersionThatWasRun_SaysNothing(string version)
    {
        var log = new RecordingLog();
        new KnownServer("MySQL at here", TimeProvider.System, log).Note(1, FactsOf(version));
        Assert.Equal("", log.ToString());
    }

    [Theory]
    [InlineData("10.11.19-MariaDB", null, "SET ROLE NONE")]
    [InlineData("10.11.19-MariaDB", "a`b", "SET ROLE `a``b`")]
    [InlineData("9.7.4", null, "SET ROLE NONE")]
    [InlineData("9.7.4", "`a`@`%`,`b`@`%`", "SET ROLE `a`@`%`,`b`@`%`")]
    [InlineData("5.7.44", null, null)]
    public void RestoreRole_AnyRole_IsInTheFamilysWords(string version, string? role, string? statement) =>
        Assert.Equal(statement, DatabaseFamily.Of(version).RestoreRole(role));

    private static SessionFacts FactsOf(string version) =>
        new(default, IsProxied: false, "", "", "", DatabaseFamily.Of(version), MaxPacket: 0);
}
