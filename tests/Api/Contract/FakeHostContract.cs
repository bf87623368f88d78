using UPool.Api.Tests.Hosts;

namespace UPool.Api.Tests.Contract;

/// <summary>The contract in memory, with fake users.</summary>
public sealed class InMemoryContract(InMemoryContract.Fixture fixture)
    : HttpContract, IClassFixture<InMemoryContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : FakeHostFixture(sockets: false, Settings);
}

/// <summary>The contract on real sockets, with fake users.</summary>
public sealed class SocketContract(SocketContract.Fixture fixture) : HttpContract, IClassFixture<SocketContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : FakeHostFixture(sockets: true, Settings);
}

/// <summary>The old statuses in memory, with fake users.</summary>
public sealed class AlwaysReply200InMemoryContract(AlwaysReply200InMemoryContract.Fixture fixture)
    : AlwaysReply200Contract, IClassFixture<AlwaysReply200InMemoryContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : FakeHostFixture(sockets: false, Settings);
}

/// <summary>A host with fake users, for all the tests of a class.</summary>
public abstract class FakeHostFixture(bool sockets, Dictionary<string, string?> settings) : IAsyncLifetime
{
    private ApiHost? _host;

    public HttpClient Client => _host!.Client;

    public async ValueTask InitializeAsync() => _host = await ApiHost.StartAsync(sockets, settings);

    public async ValueTask DisposeAsync()
    {
        if (_host is not null) await _host.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}
