using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using k8s.Models;
using UPool.Deploy.Tests.Manifests;

namespace UPool.Deploy.Tests.Running;

/// <summary>The running programs have the ports and the probes' paths that the manifests say.</summary>
[Collection(Alone.Name)]
public sealed class ProbeTests
{
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Dev_SiloAndApi_HaveThePortsAndPathsOfTheManifests()
    {
        Overlay overlay = await Overlay.RenderAsync("dev");
        await using Database database = await Database.StartAsync(overlay);
        await using StandIn silo = await StandIn.StartAsync(overlay, "upool-silo", database.Secret);
        await AssertAsManifestSaysAsync(silo);
        await using StandIn api = await StandIn.StartAsync(overlay, "upool-api", database.Secret);
        await AssertAsManifestSaysAsync(api);
        await AssertServesUsersAsync(api);
    }

    [Fact]
    public async Task Cohosted_TwoProcesses_HaveThePortsAndPathsOfTheManifests()
    {
        Overlay overlay = await Overlay.RenderAsync("cohosted");
        await using Database database = await Database.StartAsync(overlay);
        await using StandIn first = await StandIn.StartAsync(overlay, "upool-api", database.Secret);
        await using StandIn second = await StandIn.StartAsync(overlay, "upool-api", database.Secret);
        await AssertAsManifestSaysAsync(first);
        await AssertAsManifestSaysAsync(second);
        await AssertServesUsersAsync(second);
    }

    [Fact]
    public async Task Production_OverTlsWithItsThreeAccounts_HasThePortsAndPathsOfTheManifests()
    {
        Overlay overlay = await Overlay.RenderAsync("production");
        await using Database database = await Database.StartProductionAsync(overlay);
        await using StandIn silo = await StandIn.StartAsync(overlay, "upool-silo", database.Secret);
        await AssertAsManifestSaysAsync(silo);
        await using StandIn api = await StandIn.StartAsync(overlay, "upool-api", database.Secret);
        await AssertAsManifestSaysAsync(api);

        // Each account has the rights that its work needs: a write, a read, and a stop in good order.
        using var client = new HttpClient { BaseAddress = new Uri($"http://{api.EndPoint("http")}") };
        using HttpResponseMessage created = await client.PostAsJsonAsync("/user", new { name = "Ada" });
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        Assert.Contains("Ada", await client.GetStringAsync("/user/list"), StringComparison.Ordinal);
        foreach (StandIn pod in (StandIn[])[api, silo])
        {
            pod.Process.Terminate();
            Assert.Equal(0, await pod.Process.WaitForExitAsync(Patient));

            // No access to a database, table, column, routine or right denied: the pool logs the server's number,
            // Orleans its words.
            Assert.DoesNotMatch(@"denied|\b(1044|1045|1142|1143|1227|1370)\b", pod.Process.Output);
        }
    }

    private static async Task AssertAsManifestSaysAsync(StandIn pod)
    {
        V1Container container = pod.Pod.Container;
        await using (var kubelet = new Kubelet(pod))
        {
            Task ready = kubelet.WhenReady;
            Assert.True(await Task.WhenAny(ready, Task.Delay(Patient)) == ready, pod.Process.Output);
            await ready;
        }

        using var client = new HttpClient();
        foreach (V1Probe probe in new[] { container.StartupProbe, container.ReadinessProbe, container.LivenessProbe })
        {
            using HttpResponseMessage reply = await client.GetAsync(pod.UrlOf(probe));
            Assert.Equal(HttpStatusCode.OK, reply.StatusCode);
            Assert.Contains("\"code\":1", await reply.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        foreach (V1ContainerPort port in container.Ports)
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(pod.EndPoint(port.Name));
        }
    }

    private static async Task AssertServesUsersAsync(StandIn api)
    {
        using var client = new HttpClient();
        string users = await client.GetStringAsync($"http://{api.EndPoint("http")}/user/list");
        Assert.Contains("Grace", users, StringComparison.Ordinal);

        // The public port has no route for operators, and theirs asks for the key.
        using HttpResponseMessage hidden = await client.GetAsync($"http://{api.EndPoint("http")}/upool/pool");
        Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
        using HttpResponseMessage closed = await client.GetAsync($"http://{api.EndPoint("management")}/upool/pool");
        Assert.Equal(HttpStatusCode.Unauthorized, closed.StatusCode);
    }
}
