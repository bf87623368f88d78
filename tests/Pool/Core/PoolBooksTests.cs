using UPool.Core;
using UPool.Tests.Fakes;

namespace UPool.Tests.Core;

/// <summary>Each session is in one state and counts on one server.</summary>
public sealed class PoolBooksTests : IAsyncDisposable
{
    private readonly FakeConnector _server = new();
    private readonly PoolBooks _books = new() { Permits = 4 };

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Life_OfASession_IsCountedAtEachStep()
    {
        FakePhysicalConnection one = await OpenAsync();
        Assert.Equal(new PoolCounts(4, 1, 0, 0, 0, 0), Counts);
        _books.PutIdle(one, 5);
        Assert.Equal(new PoolCounts(4, 0, 1, 0, 0, 0), Counts);
        Assert.Same(one, _books.TakeIdle(0));
        Assert.Equal(1, _books.AddRent(0));
        Assert.True(_books.TryBeginClose(one, CloseReason.Retired));
        Assert.Equal(new PoolCounts(4, 0, 0, 0, 1, 0), Counts);
        Assert.False(_books.TryBeginClose(one, CloseReason.Retired));
        _books.EndClose(one);
        _books.EndClose(one);
        Assert.Equal(new PoolCounts(4, 0, 0, 0, 0, 0), Counts);
        Assert.Equal(1, _books.Copy("users", 0, 0, out _, out _).Closed["retired"]);
    }

    [Fact]
    public void Pause_AfterAFailedOpen_HoldsAPermit()
    {
        _books.BeginPause();
        Assert.Equal(1, _books.Closing);
        _books.EndPause();
        Assert.Equal(0, _books.Closing);
    }

    [Fact]
    public async Task CountAnew_AnotherServer_FormerSessionsHoldNoPermit()
    {
        FakePhysicalConnection used = await OpenAsync(), closing = await OpenAsync();
        _books.TryBeginClose(closing, CloseReason.Cleared);
        used.Elsewhere = closing.Elsewhere = true;
        _books.CountAnew();
        Assert.Equal((0, 0, 2), (_books.OpenHere, _books.Closing, _books.Elsewhere));
        Assert.Equal(1, _books.Used);

        // A used session of the former server counts as elsewhere while it closes; a new one counts here.
        FakePhysicalConnection opened = await OpenAsync();
        _books.TryBeginClose(used, CloseReason.Cleared);
        Assert.Equal((1, 0, 2), (_books.OpenHere, _books.Closing, _books.Elsewhere));

        // The former server is back: its remaining sessions count, those of the other server do not.
        used.Elsewhere = closing.Elsewhere = false;
        opened.Elsewhere = true;
        _books.CountAnew();
        Assert.Equal((0, 2, 1), (_books.OpenHere, _books.Closing, _books.Elsewhere));
        _books.EndClose(used);
        _books.EndClose(closing);
        _books.TryBeginClose(opened, CloseReason.Cleared);
        _books.EndClose(opened);
        Assert.Equal((0, 0, 0), (_books.OpenHere, _books.Closing, _books.Elsewhere));
    }

    [Fact]
    public async Task TryBeginClose_OfAFormerServerThatNobodyHasCountedYet_HoldsNoPermit()
    {
        FakePhysicalConnection late = await OpenAsync();
        late.Elsewhere = true;
        _books.TryBeginClose(late, CloseReason.Cleared);
        Assert.Equal((0, 1), (_books.Closing, _books.Elsewhere));
        _books.EndClose(late);
        Assert.Equal(0, _books.Elsewhere);
    }

    [Fact]
    public async Task ReadUse_Peak_IsTheMostSinceTheLastReading()
    {
        await OpenAsync();
        _books.NoteDemand(waiting: 3);
        Assert.Equal(new LeaseUse(9, 4, 2, 0, 1, 0, 0, Peak: 4), _books.ReadUse(9, opening: 2, pending: 0));
        Assert.Equal(2, _books.ReadUse(9, 0, pending: 1).Peak);
    }

    private PoolCounts Counts => _books.Count(0, 0);

    private async Task<FakePhysicalConnection> OpenAsync()
    {
        var connection = (FakePhysicalConnection)await _server.OpenAsync();
        _books.Add(connection);
        return connection;
    }
}
