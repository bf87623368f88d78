using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>The operators' documents contain every message.</summary>
public sealed partial class MessageTests
{
    private const string Runbook = "docs/operating/runbook.md";
    private const string Monitoring = "docs/operating/monitoring.md";

    // Files whose texts people may see: in a reply, in health, in a refusal or in a failed start.
    private static readonly string[] ForPeople =
    [
        "src/Pool/Core/RentRefusal.cs",
        "src/Pool/Core/ConnectionPool.Lease.cs",
        "src/Pool/Core/ConnectionPool.Opening.cs",
        "src/Pool/MySql/ControlConnections.Check.cs",
        "src/Pool/MySql/ControlConnections.Sessions.cs",
        "src/Pool/Core/ConnectionPool.Changing.cs",
        "src/Pool/Core/ConnectionPool.Faults.cs",
        "src/Pool/MySql/ConnectionStringRefusals.cs",
        "src/Pool/MySql/MySqlErrors.cs",
        "src/Pool/MySql/MySqlErrorTable.cs",
        "src/Pool/MySql/TlsErrors.cs",
        "src/Sqlite/SqliteConnector.cs",
        "src/Cluster/Membership/SchemaCheck.cs",
        "src/Cluster/Registration/ClientLifecycle.cs",
        "src/Cluster/Registration/OwnCluster.cs",
        "src/Hosting/DatabaseProblem.cs",
        "src/Hosting/ILeaseKeeper.cs",
        "src/Hosting/KnownKeysValidator.cs",
        "src/Hosting/UPoolProgram.cs",
        "src/Management/ListenCheck.cs",
        "src/Management/ManagementAccess.cs",
        "src/Api/Http/RequestArguments.cs",
        "src/Api/Http/RequestBody.cs",
        "src/Api/Users/UserBody.cs",
        "src/Api/Users/UserEndpoints.cs",
        "src/Grains/UserNames.cs",
    ];

    private static readonly string[] Loud = ["Warning", "Error", "Critical"];

    private static IEnumerable<(string File, LogEvent Event)> Events =>
        from file in Repository.FilesOf(".cs", "src/")
        from found in Messages.EventsOf(Repository.Text(file, "code"))
        select (file, found);

    [Fact]
    public void Runbook_EveryMessageForPeople_IsInIt()
    {
        string runbook = Repository.Text(Runbook, "the texts of all refusals and errors");

        Findings.AssertNone(
            $"messages that are not in {Runbook} by their longest fixed part",
            from file in Repository.FilesOf(".cs", "src/")
            let source = Repository.Text(file, "code")
            let isForPeople = ForPeople.Contains(file) || file.EndsWith("Options.cs", StringComparison.Ordinal)
            from text in isForPeople ? Messages.In(source) : Messages.ThrownBy(source)
            where !runbook.Contains(Messages.FixedPart(text), StringComparison.Ordinal)
            select $"{file}: {Messages.FixedPart(text)}");
    }

    [Fact]
    public void Runbook_EveryLoudLogEvent_IsInIt()
    {
        string runbook = Repository.Text(Runbook, "the texts of all refusals and errors");

        Findings.AssertNone(
            $"warnings and errors that are not in {Runbook}",
            from one in Events
            where Loud.Contains(one.Event.Level) && !runbook.Contains(one.Event.Text, StringComparison.Ordinal)
            select $"{one.File}: {one.Event.Text}");
    }

    [Fact]
    public void Monitoring_EveryLogEvent_HasItsRow()
    {
        string[] lines = Repository.Lines(Monitoring);

        Findings.AssertNone(
            $"log events without a row in {Monitoring}",
            from one in Events
            let row = $"| {one.Event.Id} | {one.Event.Level} | {one.Event.Text}"
            where !lines.Any(line => line.StartsWith(row, StringComparison.Ordinal))
            select $"{one.File}: {row}");
    }

    [Fact]
    public void Monitoring_EveryRowOfAnEvent_IsInTheCode()
    {
        string[] rows = [.. Events.Select(one => $"| {one.Event.Id} | {one.Event.Level} | {one.Event.Text}")];

        Findings.AssertNone(
            $"rows in {Monitoring} of events that no code has",
            from line in Repository.Lines(Monitoring)
            where Row().IsMatch(line) && !rows.Any(row => line.StartsWith(row, StringComparison.Ordinal))
            select line);
    }

    [Fact]
    public void ForPeople_EveryFile_IsThere() =>
        Findings.AssertNone("files that do not exist", ForPeople.Except(Repository.Files));

    [Fact]
    public void In_Sample_JoinsTextsAndPutsDotsForValues()
    {
        const string Sample = """
            // "a comment of several words"
            Do($"Pool '{name}': no connection within {Of(time)} ms. "
                + "Raise it.", "key", "bug: not for people");
            """;

        Assert.Equal(["Pool '…': no connection within … ms. Raise it."], Messages.In(Sample));
        Assert.Equal("': no connection within", Messages.FixedPart(Messages.In(Sample).First()));
    }

    [Fact]
    public void ThrownBy_Sample_FindsTextsBehindArguments()
    {
        const string Sample = """
            throw new TimedOutException(reason, "It took too long.");
            if (x) throw new ArgumentException($"The key {key} has no value.");
            throw new InvalidOperationException("bug: twice over");
            """;

        Assert.Equal(["It took too long.", "The key … has no value."], Messages.ThrownBy(Sample));
    }

    [Fact]
    public void EventsOf_Sample_FindsIdLevelAndText()
    {
        const string Sample = """
            [LoggerMessage(12, LogLevel.Warning,
                "It took {Seconds:0.0} s "
                + "for {Name}.\n{Stack}")]
            """;

        Assert.Equal([new LogEvent(12, "Warning", "It took … s for ….")], Messages.EventsOf(Sample));
    }

    [GeneratedRegex(@"^\| \d+ \| \w+ \| ")]
    private static partial Regex Row();
}
