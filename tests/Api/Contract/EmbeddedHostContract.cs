using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;

namespace UPool.Api.Tests.Contract;

/// <summary>The contract in memory, over the whole program: a silo in the process and the embedded database.</summary>
public sealed class InMemoryEmbeddedContract(InMemoryEmbeddedContract.Fixture fixture)
    : HttpContract, IClassFixture<InMemoryEmbeddedContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : EmbeddedHostFixture(sockets: false);
}

/// <summary>The contract on real sockets, over the whole program: a silo in the process and the embedded
/// database.</summary>
public sealed class SocketEmbeddedContract(SocketEmbeddedContract.Fixture fixture)
    : HttpContract, IClassFixture<SocketEmbeddedContract.Fixture>
{
    private protected override HttpClient Client => fixture.Client;

    public sealed class Fixture() : EmbeddedHostFixture(sockets: true);
}

/// <summary>The program itself, as it is started in Development with nothing configured but the contract's
/// limits.</summary>
public abstract class EmbeddedHostFixture : WebApplicationFactory<Program>, IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("upool-api-");
    private readonly bool _sockets;
    private HttpClient? _client;

    protected EmbeddedHostFixture(bool sockets)
    {
        _sockets = sockets;
        if (sockets) UseKestrel();
    }

    public HttpClient Client => _client!;

    public ValueTask InitializeAsync()
    {
        if (_sockets) StartServer();
        _client = CreateClient();
        return ValueTask.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseEnvironment("Development");
        builder.UseContentRoot(_folder.FullName);
        builder.UseSetting("urls", "http://127.0.0.1:0");
        foreach ((string key, string? value) in HttpContract.Settings) builder.UseSetting(key, value);
    }
}
