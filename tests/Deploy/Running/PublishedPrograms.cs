using System.Collections.Concurrent;

using UPool.Testing;
using UPool.Tidy.Tests;

namespace UPool.Deploy.Tests.Running;

/// <summary>The output of <c>dotnet publish</c> for each program, published once.</summary>
public sealed class PublishedPrograms : IDisposable
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(120);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("upool-publish-");
    private readonly ConcurrentDictionary<string, Lazy<Task<string>>> _published = new();

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>The folder of a program: <c>FolderAsync("Silo")</c>.</summary>
    public Task<string> FolderAsync(string program) =>
        _published.GetOrAdd(program, name => new Lazy<Task<string>>(() => PublishAsync(name))).Value;

    // Without a build: it publishes the build of these tests, and a second build must not write beside it.
    private async Task<string> PublishAsync(string program)
    {
        string configuration = AppContext.BaseDirectory.TrimEnd('/').Split('/')[^2];
        string folder = Path.Combine(_folder.FullName, program);
        await using ProcessHost publish = await ProcessHost.StartAsync(
            "publish", "dotnet",
            [
                "publish", Path.Combine(Repository.Root, "src", program), "--no-build", "--nologo",
                "--configuration", configuration, "--output", folder,
            ]);
        Assert.True(await publish.WaitForExitAsync(Patient) == 0, publish.Output);
        return folder;
    }
}
