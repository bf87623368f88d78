namespace UPool.Api.Tests.Contract;

/// <summary>The contract in memory, on the whole program: a silo in the process and the embedded database.</summary>
public sealed class InMemoryEmbeddedContract(InMemoryEmbeddedContract.Fixture fixture)
    : HttpContract, IClassFixture<InMemoryEmbeddedContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : EmbeddedHostFixture(sockets: false, Settings);
}

/// <summary>The contract on real sockets, on the whole program: a silo in the process and the embedded
/// database.</summary>
public sealed class SocketEmbeddedContract(SocketEmbeddedContract.Fixture fixture)
    : HttpContract, IClassFixture<SocketEmbeddedContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : EmbeddedHostFixture(sockets: true, Settings);
}

/// <summary>The contract on real sockets, on the whole program: a silo in the process and a real server.</summary>
public sealed class SocketServerContract(SocketServerContract.Fixture fixture)
    : HttpContract, IClassFixture<SocketServerContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : ServerHostFixture(Settings);
}

/// <summary>The old statuses on the whole program and the embedded database.</summary>
public sealed class AlwaysReply200EmbeddedContract(AlwaysReply200EmbeddedContract.Fixture fixture)
    : AlwaysReply200Contract, IClassFixture<AlwaysReply200EmbeddedContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : EmbeddedHostFixture(sockets: true, Settings);
}

/// <summary>The old statuses on the whole program and a real server.</summary>
public sealed class AlwaysReply200ServerContract(AlwaysReply200ServerContract.Fixture fixture)
    : AlwaysReply200Contract, IClassFixture<AlwaysReply200ServerContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : ServerHostFixture(Settings);
}
