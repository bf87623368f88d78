using Microsoft.Extensions.Time.Testing;

using UPool.MySql;

namespace UPool.Tests.MySql;

/// <summary>Which server the address leads to, from the results of opens in any order.</summary>
public sealed class KnownServerTests : IDisposable
{
    // The number of consecutive changes that the limit allows.
    private const int MaxChangesInARow = 10;

    private static readonly ServerIdentity Here = new("here");
    private static readonly ServerIdentity There = new("there");

    private readonly FakeTimeProvider _clock = new();
    private readonly RecordingLog _log = new();
    private readonly KnownServer _server;
    private int _found;
    private int _changed;

    public KnownServerTests()
    {
        _server = new KnownServer("db:3306", _clock, _log);
        _server.Found += () => _found++;
        _server.Changed += () => _changed++;
    }

    public void Dispose() => _log.Dispose();

    [Fact]
    public void Note_FirstServer_IsFoundOnceAndNoChange()
    {
        Task next = _server.NextChange;
        Assert.True(Open(Here));
        Assert.True(Open(Here));

        Assert.Equal((Here, 1, 0), (_server.Current, _found, _changed));
        Assert.False(next.IsCompleted);
    }

    [Fact]
    public void Note_AnotherServer_AllAreToldAndFormerSessionsAreElsewhere()
    {
        Open(Here);
        Task next = _server.NextChange;
        Assert.True(Open(There));

        Assert.Equal((There, 1, 1), (_server.Current, _found, _changed));
        Assert.True(next.IsCompleted);
        Assert.False(_server.NextChange.IsCompleted);
        Assert.True(_server.IsElsewhere(SessionOf(Here)));
        Assert.False(_server.IsElsewhere(SessionOf(There)));
        Assert.False(_server.IsElsewhere(default));
        Assert.Contains("leads to another server now", _log.ToString(), StringComparison.Ordinal);
    }

    /// <summary>An open sent before the switch-over may be answered after it.</summary>
    [Fact]
    public void Note_OlderOpenIsAnsweredLater_ChangesNothingAndItsSessionIsOfNoUse()
    {
        Open(Here);
        long older = _server.BeginOpen();
        Assert.True(_server.Note(_server.BeginOpen(), FactsOf(There)));
        Assert.False(_server.Note(older, FactsOf(Here)));

        Assert.Equal((There, 1), (_server.Current, _changed));
    }

    [Fact]
    public void Note_OlderOpenFoundTheSameServer_ItsSessionIsOfUse()
    {
        Open(Here);
        long older = _server.BeginOpen();
        Open(There);

        Assert.True(_server.Note(older, FactsOf(There)));
        Assert.Equal(1, _changed);
    }

    [Fact]
    public void Note_ServerWithAnotherWitness_HasRestarted()
    {
        Open(Here);
        Open(Here with { Witness = "first" });
        Assert.Equal((Here with { Witness = "first" }, 0), (_server.Current, _changed));

        Open(Here);
        Assert.Equal(("first", 0), (_server.Current.Witness, _changed));

        Open(Here with { Witness = "second" });
        Assert.Equal(("second", 1), (_server.Current.Witness, _changed));

        // The server is the same and can tell about the sessions of its previous start.
        Assert.False(_server.IsElsewhere(SessionOf(Here with { Witness = "first" })));
    }

    [Fact]
    public void Note_ServersByTurns_SoManyChangesAreFollowedAndOneMoreForEachSecond()
    {
        Open(Here);
        for (int open = 0; open < MaxChangesInARow; open++) Assert.True(OpenOther());
        for (int open = 0; open < 20; open++) Assert.False(OpenOther());
        Assert.Equal((Here, MaxChangesInARow), (_server.Current, _changed));

        // A change beyond the limit is ignored: sessions of the current server stay usable.
        Assert.True(Open(Here));
        Assert.Equal(1, Told());

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(OpenOther());
        Assert.False(OpenOther());
        Assert.Equal((There, MaxChangesInARow + 1), (_server.Current, _changed));

        // Never more than the initial number, however long no change occurred.
        _clock.Advance(TimeSpan.FromHours(1));
        for (int open = 0; open < MaxChangesInARow; open++) Assert.True(OpenOther());
        Assert.False(OpenOther());
        Assert.Equal(1, Told());
    }

    [Fact]
    public void Note_BehindAMultiplexingProxy_SaysNothingOfTheServer()
    {
        Assert.True(_server.Note(_server.BeginOpen(), FactsOf(Here) with { IsProxied = true }));
        Open(There);
        Assert.True(_server.Note(_server.BeginOpen(), FactsOf(Here) with { IsProxied = true }));

        Assert.Equal((There, 1, 0), (_server.Current, _found, _changed));
    }

    private int Told() =>
        _log.ToString().Split('\n').Count(static line => line.Contains(" 1114 ", StringComparison.Ordinal));

    private bool OpenOther() => Open(_server.Current == Here ? There : Here);

    private bool Open(ServerIdentity server) => _server.Note(_server.BeginOpen(), FactsOf(server));

    private static SessionFacts FactsOf(ServerIdentity server) => new(
        SessionOf(server), IsProxied: false, "", "", "", DatabaseFamily.Of("9.7.0"), 1024);

    private static ServerSession SessionOf(ServerIdentity server) => new(1, "10.0.0.1:1", server);
}
